"""What is launched may open as many files as this machine permits, whatever the shell gave."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys

from countersign.runtime.parent import launcher_command


def test_a_program_gets_all_the_files_it_may_have() -> None:
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    told = "import resource; print(*resource.getrlimit(resource.RLIMIT_NOFILE))"
    command = launcher_command([sys.executable, "-c", told], how=signal.SIGTERM)

    def as_shells_do() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, most))

    done = subprocess.run(command, preexec_fn=as_shells_do, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(most), str(most)]
