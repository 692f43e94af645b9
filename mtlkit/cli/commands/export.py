"""``mtlkit export``: write a trained model in a format of other programs."""

from pathlib import Path

import click

from mtlkit.cli import current_catalog
from mtlkit.plugins.command_options import OutputFile
from mtlkit.printable import echo


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--out",
    required=True,
    type=OutputFile(),
    help="Output file: .onnx, .pt2 (torch.export) or .safetensors; the card is next to it.",
)
@click.option("--license", default=None, help="License of the weights, for the card.")
def export(run: Path, out: Path, license: str | None) -> None:
    """Export the model of RUN with its preprocessing, and write a model card.

    An exported graph is compared with the network on random inputs before it is kept.
    """
    from mtlkit.runs.prediction.export import export_model
    from mtlkit.runs.prediction.predict import load_model

    exported = export_model(load_model(run, current_catalog()), out, license)
    for inputs, largest in exported.differences.items():
        echo(f"{inputs}: differs from the network by {largest:.2g} at most")
    echo(f"model: {exported.path}", f"card:  {exported.card}")
