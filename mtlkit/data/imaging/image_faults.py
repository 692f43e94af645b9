"""Files of a folder that are not used as images, in words."""

from collections.abc import Sequence
from pathlib import Path

from mtlkit.data.listing.image_listing import Fault
from mtlkit.errors import SHOWN, shortened


def fault_report(faults: Sequence[Fault], total: int, folder: Path) -> list[str]:
    """Return the lines of a message that lists the files that cannot be used, with the reasons."""
    lines = [f"{folder}: {len(faults)} of {total} files cannot be used:"]
    lines += [f"  {fault.file}: {fault.reason}" for fault in faults[:SHOWN]]
    if len(faults) > SHOWN:
        lines.append(f"  and {len(faults) - SHOWN} more")
    lines.append(
        "repair them, list them under `ignore`, or skip and count them with `skip_bad: true`"
    )
    return lines


def no_images(faults: Sequence[Fault], other: Sequence[str]) -> str:
    """Return a message about a folder without an image that can be used."""
    facts = [f"{key}: {value}" for key, value in skipped_files(faults, other).items()]
    return "; ".join(
        ["no image can be used", *(facts or ["the folder has no file that `ignore` leaves"])]
    )


def skipped_files(faults: Sequence[Fault], other: Sequence[str]) -> dict[str, str]:
    """Return the files that are left out, to display."""
    facts = {}
    if faults:
        facts["skipped"] = _files([fault.file for fault in faults])
    if other:
        facts["not images"] = _files(other)
    return facts


def _files(names: Sequence[str]) -> str:
    return f"{len(names)} {'file' if len(names) == 1 else 'files'}: {shortened(names)}"
