"""A test folder as a configuration of webMUSHRA, for those who run that.

    OUT/configs/NAME.yaml                    to be copied into webMUSHRA's folder
    OUT/configs/resources/NAME/0003/*.wav    the sounds that it names

webMUSHRA adds the hidden reference and draws the order of conditions itself.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from semanticodec.errors import ConfigError, OutputExistsError
from semanticodec.files import atomic_path, write_text
from semanticodec.listening.plan import ABX, REFERENCE, Page, Plan, read_plan

BUFFER_SIZE = 2048
TASK = (
    "Listen to the reference, then rate each of the other sounds compared with it: 0 means no "
    "resemblance to the reference, 100 means exactly the same as the reference."
)
TRAINING = "This page is for training and does not count. Set the volume now. "


def export(folder: Path, out: Path, name: str) -> Path:
    """Write the configuration and copy the sounds; return the configuration's path.

    Args:
        folder: the test folder.
        out: webMUSHRA's folder, or one to copy from.
        name: name of the configuration: `http://.../webMUSHRA/?config=NAME.yaml`.
    Raises:
        ConfigError: the test is ABX, which webMUSHRA asks in another way.
        OutputExistsError: there is such a configuration.
    """
    import yaml

    plan = read_plan(folder)
    if plan.mode == ABX:
        raise ConfigError("webMUSHRA has no pages for ABX with equal orders; export a MUSHRA test")
    target = out / "configs" / f"{name}.yaml"
    if target.exists():
        raise OutputExistsError(f"{target} exists; give another --name")
    resources = Path("configs") / "resources" / name
    for page in plan.pages:
        for sound in page.sounds.values():
            with atomic_path(out / resources / _below_audio(sound)) as path:
                shutil.copyfile(folder / sound, path)
    content = configuration(plan, name, resources.as_posix())
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=10_000)
    write_text(target, text)
    return target


def configuration(plan: Plan, name: str, resources: str) -> dict[str, Any]:
    """Return the content of webMUSHRA's configuration.

    Args:
        plan: a MUSHRA test.
        name: what its results are filed under.
        resources: folder of the sounds, below webMUSHRA's.
    """
    training, *others = [
        _page(plan, page, index, resources) for index, page in enumerate(plan.pages)
    ]
    end = {
        "type": "finish",
        "name": "The end",
        "content": "All your answers are saved. Thank you!",
        "showResults": False,
        "writeResults": True,
    }
    return {
        "testname": plan.title,
        "testId": name,
        "bufferSize": BUFFER_SIZE,
        "stopOnErrors": True,
        "showButtonPreviousPage": False,
        "remoteService": "service/write.php",
        "pages": [training, ["random", *others], end],
    }


def _page(plan: Plan, page: Page, index: int, resources: str) -> dict[str, Any]:
    (reference,) = plan.index_of(REFERENCE)
    paths = {name: f"{resources}/{_below_audio(sound)}" for name, sound in page.sounds.items()}
    return {
        "type": "mushra",
        "id": f"training-{page.clip}" if index == 0 else f"{page.domain}-{page.clip}",
        "name": plan.title,
        "content": f"{TRAINING if index == 0 else ''}{TASK}",
        "showWaveform": True,
        "enableLooping": True,
        "randomize": True,
        "showConditionNames": False,
        "createAnchor35": False,
        "createAnchor70": False,
        "reference": paths.pop(plan.names[reference]),
        "stimuli": paths,
    }


def _below_audio(sound: str) -> str:
    return sound.removeprefix("audio/")
