"""`preview`."""

import typer

app = typer.Typer(help="x", no_args_is_help=True, rich_markup_mode=None)


@app.command()
def up() -> None:
    """x"""
