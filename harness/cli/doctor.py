"""`fusefront doctor`: describes this machine."""

from fusefront.harness.cli.options import Json


def doctor(as_json: Json = False) -> None:
    """Print versions, threads, accelerator, and which optional packages are installed or
    missing."""
    import importlib.util
    import shutil

    from rich.console import Console
    from rich.table import Table

    from fusefront.harness.cli.show import show
    from fusefront.harness.runs.environment import environment
    from fusefront.reports.pdf import pdf_lack

    facts = environment(1)
    optional = {
        "accelerator": _accelerator(),
        "weasyprint (report --pdf)": not pdf_lack(),
        "chromium (report tests)": bool(shutil.which("chromium")),
        "onnxruntime (export, bench)": bool(importlib.util.find_spec("onnxruntime")),
    }
    if as_json:
        show({**facts, "optional": optional})
        return
    table = Table("what", "found", box=None)
    table.add_row("python", facts["python"])
    table.add_row("platform", facts["platform"])
    table.add_row("processor", facts["processor"])
    table.add_row("cores", str(facts["cores"]))
    table.add_row("code", facts["code"])
    for name, version in facts["packages"].items():
        table.add_row(name, str(version))
    for name, here in optional.items():
        text = str(here) if isinstance(here, str) else "yes" if here else "missing"
        table.add_row(name, text)
    Console(soft_wrap=True).print(table)


def _accelerator() -> str:
    import torch

    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else "none"
