"""Completion scripts for bash, zsh and fish: static text, so that the Tab key starts no program."""

from __future__ import annotations

import tree

NOTE = "# Written by man/generate.py from the command tree; `make docs` writes it again.\n"


def scripts(program: tree.Command, commands: list[tree.Command]) -> dict[str, str]:
    """The three scripts by file name."""
    return {
        "mmr.bash": bash(program, commands),
        "_mmr": zsh(program, commands),
        "mmr.fish": fish(program, commands),
    }


def bash(program: tree.Command, commands: list[tree.Command]) -> str:
    """For bash 3.2 and later; needs nothing of the package bash-completion."""
    words = " ".join(command.name for command in commands)
    values, switches = [], []
    for command in [program, *commands]:
        names = [name for option in command.distinct for name in option.names]
        switches.append(f'      "{command.name}") words="{" ".join(names)}" ;;\n')
        if command.methods:
            methods = " ".join(name for name, _ in command.methods)
            values.append(f'    "{command.name} {command.name}") words="{methods}" ;;\n')
        for option in command.distinct:
            if not option.value:
                continue
            cases = "|".join(f'"{command.name} {name}"' for name in option.names)
            if option.choices:
                values.append(f'    {cases}) words="{" ".join(option.choices)}" ;;\n')
            elif not option.files:
                values.append(f"    {cases}) compopt +o default 2>/dev/null; return ;;\n")
            else:
                values.append(f"    {cases}) return ;;\n")
    return f"""{NOTE}
_mmr() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" before="${{COMP_WORDS[COMP_CWORD-1]}}" command="" words="" i
  COMPREPLY=()
  if [[ $current == "=" ]]; then
    current=""
  elif [[ $before == "=" ]]; then
    before="${{COMP_WORDS[COMP_CWORD-2]}}"
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    if [[ ${{COMP_WORDS[i]}} != -* ]]; then
      command="${{COMP_WORDS[i]}}"
      break
    fi
  done
  case "$command $before" in
{"".join(values)}    *)
    if [[ $current == -* ]]; then
      case "$command" in
{"".join(switches)}      esac
    elif [[ -z $command ]]; then
      words="{words}"
    fi ;;
  esac
  if [[ -n $words ]]; then
    compopt +o default 2>/dev/null
    COMPREPLY=($(compgen -W "$words" -- "$current"))
  fi
}}
complete -o default -F _mmr mmr
"""


def zsh(program: tree.Command, commands: list[tree.Command]) -> str:
    """For zsh's completion system, as a file `_mmr` on its fpath."""
    described = "".join(f"      {_quoted(f'{c.name}:{_first(c.summary)}')}\n" for c in commands)
    cases = "".join(
        f"      {c.name})\n        _arguments -s -S \\\n{_zsh_options(c)}          {_zsh_rest(c)} ;;\n"
        for c in commands
    )
    return f"""#compdef mmr
{NOTE}
_mmr() {{
  local curcontext="$curcontext" state line
  typeset -A opt_args
  _arguments -C -S \\
{_zsh_options(program)}    '1:command:->command' \\
    '*::argument:->argument'
  case $state in
    command)
      local -a commands
      commands=(
{described}      )
      _describe -t commands 'mmr command' commands ;;
    argument)
      case $words[1] in
{cases}      esac ;;
  esac
}}

_mmr "$@"
"""


def _zsh_options(command: tree.Command) -> str:
    return "".join(f"          {_zsh_option(option)} \\\n" for option in command.distinct)


def _zsh_option(option: tree.Option) -> str:
    text = _first(option.help).replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")
    value = ""
    if option.choices:
        value = f":value:({' '.join(option.choices)})"
    elif option.value:
        value = f":{option.value.replace(':', ' ')}:{'_files' if option.files else ' '}"
    names = [f"{name}=" if value and name.startswith("--") else name for name in option.names]
    if len(names) == 1:
        return _quoted(f"*{names[0]}[{text}]{value}")
    return "'*'{" + ",".join(names) + "}" + _quoted(f"[{text}]{value}")


def _zsh_rest(command: tree.Command) -> str:
    """What the arguments are: a method or an index first where the usage says so, then files or words."""
    if command.methods:
        return f"'1:method:({' '.join(name for name, _ in command.methods)})' '*: :_files'"
    places = [piece for piece in command.usage if piece != "[OPTIONS]"]
    index = ["'1:index:_files -/'"] if places[:1] == ["INDEX"] else []
    rest = places[len(index) :]
    return " ".join([*index, "'*: :_files'" if any(_files(p) for p in rest) else "'*: : '"])


def _files(place: str) -> bool:
    return any(word in place for word in ("FILE", "PATH", "FOLDER"))


def fish(program: tree.Command, commands: list[tree.Command]) -> str:
    """For fish 3 and later."""
    lines = [NOTE]
    for option in program.options:
        lines.append(f"complete -c mmr -n __fish_use_subcommand {_fish_option(option)}\n")
    for command in commands:
        about = _quoted(_first(command.summary))
        lines.append(f"complete -c mmr -n __fish_use_subcommand -f -a {command.name} -d {about}\n")
    for command in commands:
        lines.append("\n")
        if command.methods:
            names = " ".join(name for name, _ in command.methods)
            when = f"__fish_seen_subcommand_from {command.name}; and not __fish_seen_subcommand_from {names}"
            for name, summary in command.methods:
                about = _fish_quoted(_first(summary))
                lines.append(f"complete -c mmr -n '{when}' -f -a {name} -d {about}\n")
        for option in command.distinct:
            when = f"'__fish_seen_subcommand_from {command.name}'"
            lines.append(f"complete -c mmr -n {when} {_fish_option(option)}\n")
    return "".join(lines)


def _fish_option(option: tree.Option) -> str:
    parts = [f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names]
    if option.choices:
        parts.append(f"-x -a {_quoted(' '.join(option.choices))}")
    elif option.value:
        parts.append("-r -F" if option.files else "-x")
    return " ".join([*parts, f"-d {_fish_quoted(_first(option.help))}"])


def _first(text: str) -> str:
    """The first sentence of a help text, without its full stop."""
    return text.split("  [")[0].split(". ")[0].rstrip(".")


def _quoted(text: str) -> str:
    """In single quotes, for bash and zsh."""
    return "'" + text.replace("'", "'\\''") + "'"


def _fish_quoted(text: str) -> str:
    """In single quotes, for fish."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
