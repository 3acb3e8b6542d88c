"""A small book as files, and its import: tests replace the files they are about."""

from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from django.core.management import call_command
from django.core.management.base import CommandError

SESSION = "2026-11-18"
FILES = {
    "securities.csv": """
        symbol,name,kind,asset_class,quantity_step
        VTI,Vanguard Total Stock Market ETF,etf,US Equity,1
        BND,Vanguard Total Bond Market ETF,etf,US Bonds,
        VTSAX,Vanguard Total Stock Market Index Fund,mutual_fund,US Equity,0.001
        SPAXX,Fidelity Government Money Market Fund,sweep,,
    """,
    "prices.csv": """
        symbol,price,as_of
        VTI,300,2026-11-18
        BND,75.5,2026-11-18
        VTSAX,150.25,2026-11-18
        SPAXX,1,2026-11-18
    """,
    "models.csv": """
        model,symbol,weight
        Core,VTI,60
        Core,BND,40
    """,
    "portfolios.csv": """
        portfolio,component_kind,component,weight,threshold_lower,threshold_upper,precision_lower,precision_upper,band_kind,triggers
        Balanced,security,VTI,55,,,,,,
        Balanced,model,Core,40,10,10,2,2,relative,true
        Balanced,cash,,5,1,2,0.5,0.5,absolute,false
    """,
    "accounts.csv": """
        account_number,name,custodian,advisor,household,tax_status,portfolio,linked_portfolios,rebalancing_on,last_rebalanced,set_aside_cash,lot_method
        A1,Ann Lee,Fidelity,jane,Lee,taxable,Balanced,Balanced,true,2026-10-01,100,hifo
        A2,Bob Lee,Pershing,,,tax_exempt,,,false,,,
    """,
    "cash.csv": """
        account_number,amount
        A1,1234.5
        A2,-10
    """,
    "lots.csv": """
        account_number,sleeve,symbol,lot_id,quantity,total_cost,acquired_on
        A1,managed,VTI,L1,10,2000,2024-02-29
        A1,managed,VTI,L2,5.5,,2025-11-18
        A1,model:Core,VTI,L1,3,900.01,2025-01-02
        A2,protected,VTSAX,L1,1.234,100,2020-01-02
    """,
    "transactions.csv": """
        account_number,date,kind,symbol,quantity,amount,external_id
        A1,2026-11-10,deposit,,,5000,T1
        A1,2026-11-11,buy,VTI,2,-600,T2
    """,
    "restrictions.csv": """
        account_number,symbol,kind,substitute,start,end
        A1,BND,no_buy,,2026-01-01,
        A1,VTSAX,substitute,VTI,,2027-12-31
    """,
}


@dataclass
class Result:
    """What an import said (standard error), and whether it refused something."""

    said: str
    refused: bool


def write(folder, files):
    """Write files ({name: text or bytes}) into a folder; lines may be indented."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        if isinstance(content, str):
            content = "\n".join(line.strip(" ") for line in content.strip("\n").split("\n")).strip(" \n") + "\n"
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def deliver(folder, files, session=SESSION):
    """Import these files, and only these, as the delivery of a session."""
    for old in Path(folder).glob("*.csv"):
        old.unlink()
    out = StringIO()
    try:
        call_command("import_book", str(write(folder, files)), f"--as-of={session}", stderr=out)
    except CommandError as error:
        return Result(f"{out.getvalue()}\n{error}", refused=True)
    return Result(out.getvalue(), refused=False)
