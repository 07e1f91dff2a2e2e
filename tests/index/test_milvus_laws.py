"""What PostgreSQL's index is held to beside a folder, with a Milvus server in its place."""

from __future__ import annotations

import pytest

from .milvus_server import Server
from .test_postgresql import (  # noqa: F401 - pytest collects them here, with this server
    address,
    both,
    test_a_dry_run_writes_nothing,
    test_a_second_writer_of_a_new_collection,
    test_any_changes_leave_what_a_folder_has,
    test_dump_get_and_known_files_are_those_of_a_folder,
    test_models_never_meet,
    test_sync_refuses_what_a_folder_refuses,
    test_the_hits_are_those_of_a_folder,
)

pytestmark = pytest.mark.soak


@pytest.fixture(scope="module")
def postgres(tmp_path_factory):
    running = Server(tmp_path_factory.mktemp("milvus") / "data")
    yield running
    running.kill()
