"""Ends with a word where LMDeploy has no packages for this machine, before anything is downloaded.

Standard library only, and Python 3.6 reads it: it runs before anything is installed.
"""

import platform
import sys

ALONE = "make run ENGINES=none"


def problem(system: str, machine: str) -> str:
    """Why LMDeploy can't be installed on that system and processor, and what to do; "" where it can.

    The names are those of ``platform.system()`` and ``platform.machine()``.
    """
    if system == "Linux" and machine.lower() in ("x86_64", "amd64"):
        return ""
    if system == "Darwin":
        return (
            "LMDeploy has no packages for macOS. Install the console on the Linux machine with the GPU; its page is "
            f"reached from here by the ssh line that it prints. To see the page without LMDeploy: {ALONE}"
        )
    if system == "Windows" or system.startswith(("MINGW", "MSYS", "CYGWIN")):
        return "The console runs on Linux. On Windows use WSL2: wsl --install, then make run in its terminal."
    return (
        f"LMDeploy has packages for x86-64 Linux alone; this is {system} {machine}. The console without it (the CPU "
        f"engine, which its page offers to install, servers elsewhere, memory plans): {ALONE}"
    )


if __name__ == "__main__":
    sys.exit(problem(platform.system(), platform.machine()) or None)
