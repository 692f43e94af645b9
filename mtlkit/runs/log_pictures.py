"""Pictures of a report for the loggers that want them."""

import base64

from mtlkit.loggers.base import WantedPictures
from mtlkit.loggers.events import PictureEvent
from mtlkit.recipe import Recipe
from mtlkit.report.blocks import Chart, Gallery
from mtlkit.runs.report import read_records
from mtlkit.runs.storage.folder import RunFolder


def log_pictures(folder: RunFolder, recipe: Recipe, step: int) -> None:
    """Pass the charts, and if a logger wants them the images, of the report to loggers as PNG."""
    asking = [one for one in recipe.train.loggers if one.pictures is not WantedPictures.NONE]
    if not asking:
        return
    from mtlkit.report.png import draw_png  # imports matplotlib
    from mtlkit.report.run_page import run_page

    page = run_page(read_records([folder.path])[0])
    blocks = [*page.opening, *(block for part in page.parts for block in part.blocks)]
    charts = [block for block in blocks if isinstance(block, Chart)]
    figures = {f"report/{chart.title}": draw_png(chart) for chart in charts}
    galleries = [block for block in blocks if isinstance(block, Gallery)]
    images = {
        f"images/{number}/{row}.{column}": base64.b64decode(picture.png)
        for number, gallery in enumerate(galleries)
        for row, pictures in enumerate(gallery.rows)
        for column, picture in enumerate(pictures)
    }
    for logger in asking:
        pictures = figures if logger.pictures is WantedPictures.FIGURES else {**figures, **images}
        if pictures:
            writer = logger.open(folder.path, step)
            writer.write(PictureEvent(step=step, pictures=pictures))
            writer.close()
