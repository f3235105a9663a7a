"""A SLURM of one machine for tests: sbatch, srun, sacct and scancel as far as submitit uses them.

Jobs are processes that run the batch script with bash; each leaves its pid and then its exit code in a folder. The
commands are run by the tests' Python with the standard library alone.
"""

from __future__ import annotations

import os
import re
import signal
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

COMMANDS = ("sbatch", "srun", "sacct", "scancel")
FIRST = 41


def install(folder: Path) -> None:
    """Write the commands into FOLDER/bin, their jobs into FOLDER/jobs."""
    (folder / "bin").mkdir(parents=True)
    (folder / "jobs").mkdir()
    for name in COMMANDS:
        path = folder / "bin" / name
        path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I "{__file__}" "{folder}/jobs" {name} "$@"\n')
        path.chmod(path.stat().st_mode | stat.S_IXUSR)


def sbatch(jobs: Path, script: str) -> int:
    """Start a script, once or once for each task of its array."""
    text = Path(script).read_text()
    asked = dict(re.findall(r"^#SBATCH --([a-z-]+)=(.*)$", text, re.MULTILINE))
    (jobs / f"script-{len(list(jobs.glob('script-*')))}").write_text(text)
    number = FIRST + len(list(jobs.glob("script-*")))
    last = re.fullmatch(r"'?0-(\d+)(%\d+)?'?", asked.get("array", "0-0"))
    assert last, f"an array of this form is not known: {asked['array']}"
    for task in range(int(last[1]) + 1):
        name = f"{number}_{task}" if "array" in asked else str(number)
        here = {"SLURM_JOB_ID": str(number), "SLURM_NTASKS": "1", "SLURM_PROCID": "0", "SLURM_LOCALID": "0",
                "SLURM_NODEID": "0", "SLURM_JOB_NUM_NODES": "1", "SLURM_JOB_NODELIST": "localhost"}  # fmt: skip
        if "array" in asked:
            here |= {"SLURM_ARRAY_JOB_ID": str(number), "SLURM_ARRAY_TASK_ID": str(task)}
        process = subprocess.Popen(
            ["bash", "-c", f"bash '{script}'; echo $? > '{jobs}/{name}.code'"], env=os.environ | here,
            start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        (jobs / f"{name}.pid").write_text(str(process.pid))
    print(f"Submitted batch job {number}")
    return 0


def srun(jobs: Path, *words: str) -> int:
    """Run a command, its output where it is asked for."""
    names = {"%j": "SLURM_JOB_ID", "%A": "SLURM_ARRAY_JOB_ID", "%a": "SLURM_ARRAY_TASK_ID", "%t": "SLURM_PROCID"}
    rest, files = list(words), {}
    while rest[0].startswith("--"):
        word = rest.pop(0)
        if word in ("--output", "--error"):
            path = rest.pop(0)
            for sign, variable in names.items():
                path = path.replace(sign, os.environ.get(variable, ""))
            files[word] = path
        else:
            assert word == "--unbuffered", f"srun does not know {word}"
    with open(files["--output"], "ab") as output, open(files["--error"], "ab") as error:
        code = subprocess.run(rest, stdout=output, stderr=error, check=False).returncode
    return code if code >= 0 else 128 - code


def sacct(jobs: Path, *words: str) -> int:
    """The state of jobs and of their tasks."""
    assert words[:3] == ("-o", "JobID,State,NodeList", "--parsable2"), f"sacct does not know {words}"
    print("JobID|State|NodeList")
    for number in [word for word in words[3:] if word != "-j"]:
        for path in sorted([*jobs.glob(f"{number}.pid"), *jobs.glob(f"{number}_*.pid")]):
            code = path.with_suffix(".code")
            text = code.read_text().strip() if code.exists() else ""
            state = {"": "RUNNING", "0": "COMPLETED"}.get(text, "FAILED")
            print(f"{path.stem}|{state}|localhost")
    return 0


def scancel(jobs: Path, name: str) -> int:
    with suppress(ProcessLookupError):  # it has ended by itself
        os.killpg(int((jobs / f"{name}.pid").read_text()), signal.SIGTERM)
    return 0


if __name__ == "__main__":
    folder, command, *arguments = sys.argv[1:]
    sys.exit({"sbatch": sbatch, "srun": srun, "sacct": sacct, "scancel": scancel}[command](Path(folder), *arguments))
