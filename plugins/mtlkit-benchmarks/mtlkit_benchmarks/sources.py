"""The data sets whose official trees can be read, by name."""

from collections.abc import Mapping
from typing import Any

import attrs


@attrs.frozen
class Known:
    """A source: its module and class, what it reads, and options that select a data set."""

    source: str
    summary: str
    options: Mapping[str, Any] = attrs.field(factory=dict)


SOURCES: Mapping[str, Known] = {
    "nyuv2": Known("dense.nyuv2:NYUv2", "NYUv2 of MTAN: 13 classes, depth, normals"),
    "nyuv2-raw": Known("dense.nyuv2_raw:NYUv2Raw", "NYUv2 in MATLAB: 13 or 40 classes, depth"),
    "cityscapes": Known("dense.cityscapes:Cityscapes", "Cityscapes of MTAN: classes, disparity"),
    "cityscapes-official": Known(
        "dense.cityscapes_official:CityscapesOfficial",
        "Cityscapes: classes, offsets of instances, disparity",
    ),
    "pascal-context": Known(
        "dense.pascal_context:PascalContext",
        "PASCAL-Context: classes, parts, normals, saliency, edges",
    ),
    "taskonomy": Known("dense.taskonomy:Taskonomy", "Taskonomy: depth, normals, edges, keypoints"),
    "celeba": Known("photos.celeba:CelebA", "CelebA: 40 attributes"),
    "fairface": Known("photos.fairface:FairFace", "FairFace: age, gender and race"),
    "raf-db": Known("photos.raf_db:RAFDB", "RAF-DB: expression, gender, race and age"),
    "affectnet": Known("photos.affectnet:AffectNet", "AffectNet: expression, valence, arousal"),
    "utkface": Known("utkface:UTKFace", "UTKFace: age, gender and race"),
    "head-pose": Known("photos.head_pose:HeadPose", "300W-LP and AFLW2000: pose of heads"),
    "biwi": Known("photos.biwi:BIWI", "BIWI: pose of heads"),
    "office": Known("photos.office:Office", "Office-31 and Office-Home: a task for each domain"),
    "multi-mnist": Known("photos.multi_mnist:MultiMNIST", "two overlapping digits, from idx files"),
    "pareto-mnist": Known("photos.multi_mnist:ParetoMNIST", "two overlapping digits, a pickle"),
    "census-income": Known(
        "tables.census_income:CensusIncome", "Census-Income: income, marriage, education"
    ),
    "aliexpress": Known("tables.aliexpress:AliExpress", "AliExpress: click and conversion"),
    "school": Known("tables.school:School", "School: exam scores, a task for each school"),
    "mulan": Known("tables.mulan:Mulan", "Mulan: several numbers or labels, in ARFF"),
    "qm9-pack": Known("tables.qm9_pack:QM9Pack", "QM9, all molecules: eleven properties"),
    "tox21": Known("tox21:Tox21", "Tox21: toxicity in 12 assays"),
    "universal-dependencies": Known(
        "universal_dependencies:UniversalDependencies", "UD treebanks: UPOS and DEPREL of each word"
    ),
    "paws-x": Known("text.paws_x:PawsX", "PAWS-X: paraphrases, a task for each language"),
}
"""Sources by the name under ``benchmarks/``."""

CHECKED: Mapping[str, Known] = {
    **{name: known for name, known in SOURCES.items() if name not in ("office", "mulan")},
    "office-31": attrs.evolve(SOURCES["office"], options={"variant": "31"}),
    "office-home": attrs.evolve(SOURCES["office"], options={"variant": "home"}),
    **{
        f"mulan-{name}": attrs.evolve(SOURCES["mulan"], options={"name": name})
        for name in ("wq", "atp1d", "osales", "scpf", "jura", "enb", "edm", "slump", "emotions")
    },
    **{
        f"aliexpress-{country.lower()}": attrs.evolve(
            SOURCES["aliexpress"], options={"country": country}
        )
        for country in ("NL", "ES", "FR", "US")
    },
}
"""Data sets that `mtlkit benchmarks check` accepts, by name."""
