"""Makes the weights of the built-in encoder: `python -m mmr.encoders.builtin.training --help`.

Needs the extra `train`. Nothing in this folder is imported when the encoder is used.
"""
