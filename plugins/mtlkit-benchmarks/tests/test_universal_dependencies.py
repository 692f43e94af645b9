"""The reader of treebanks."""

from pathlib import Path

import pytest
import torch
from mtlkit_benchmarks.conllu import UPOS, read_sentences
from mtlkit_benchmarks.universal_dependencies import UniversalDependencies

from mtlkit.data import Loading
from mtlkit.plugins import DataError

REAL = Path(__file__).parents[3].parent / "shared" / "data" / "ud_english_lines"


def load(folder):
    return UniversalDependencies(folder=folder, least=1).load(Loading())


def test_words_have_their_labels_and_padding_has_none(sentence, tree):
    folder = tree("ud")
    longer = sentence.replace("\n\n", "\n4\t.\t.\tPUNCT\t_\t_\t3\tpunct\t_\t_\n\n")
    longer = longer.format(name="longer", root="root")
    with (folder / "en_small-ud-train.conllu").open("a") as file:
        file.write(longer)
    train = load(folder).train
    inputs, first = train.inputs[torch.tensor([0, 2])], torch.tensor([0])
    assert inputs["mask"].tolist() == [[True, True, True, False], [True] * 4]
    tags = [UPOS[code] if code >= 0 else None for code in train.columns["upos"][first][0].tolist()]
    assert tags == ["DET", "NOUN", "VERB", None]
    names = train.columns["deprel"].target.names
    codes = train.columns["deprel"][first][0].tolist()
    assert [names[code] for code in codes[:3]] == ["det", "nsubj", "root"]
    assert codes[3] == -1


def test_a_relation_that_training_lacks_is_missing_and_counted(tree):
    folder = tree("ud", root="parataxis")
    data = load(folder)
    assert data.summary == {"words with an unseen relation": "2"}
    assert data.test.columns["deprel"][torch.tensor([0])][0, 2] == -1


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("2\tdog", "3\tdog", "line 4: got the word 3, expected 2"),
        ("\tDET\t", "\tARTICLE\t", "line 3: got the tag 'ARTICLE', expected one of ADJ, ADP"),
        ("\tdet\t_\t_\n", "\tdet\n", "line 3: got 8 columns, expected 10"),
        ("# sent_id = {name}\n", "", "line 6: the sentence before it has no sent_id"),
    ],
)
def test_a_damaged_line_is_named(sentence, tmp_path, old, new, fault):
    path = tmp_path / "a.conllu"
    path.write_text(sentence.replace(old, new).format(name="a", root="root"))
    with pytest.raises(DataError, match=fault):
        read_sentences(path)


def test_a_folder_without_a_treebank_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"\*-ud-train.conllu: got 0 files, expected 1\n"):
        load(tmp_path)


def test_the_real_treebank_has_the_published_counts():
    if not REAL.is_dir():
        pytest.skip("needs the treebank English LinES in ../shared/data/ud_english_lines")
    data = UniversalDependencies(folder=REAL).load(Loading())
    counts = {name: (len(split), int(split.inputs.tensors["mask"].sum()))
              for name, split in data.splits().items()}  # fmt: skip
    assert counts == {"train": (3457, 64684), "validation": (1118, 21637), "test": (1121, 19984)}
