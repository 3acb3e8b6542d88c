"""The demo firm as files of a book: 60 accounts that show every tile, source and status, each with its story."""

from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

from .catalogue import REAL, SWEEPS

HOLDINGS = {one.symbol: one for one in (*REAL, *SWEEPS)}
UNPRICED = "TWTR"  # taken off the market: held by one account, and no feed has a price for it
OTHERS = {UNPRICED: ("Twitter Inc.", "equity", "US Equity")}

MODELS = {
    "Global Equity Core": {"VTI": 50, "VXUS": 30, "VWO": 10, "AVUV": 10},
    "Core Bond Ladder": {"BND": 50, "VCIT": 20, "TIP": 15, "BNDX": 15},
    "Dividend Income": {"SCHD": 40, "VIG": 40, "USMV": 20},
    "Technology Leaders": {"AAPL": 20, "MSFT": 20, "NVDA": 20, "GOOGL": 20, "AVGO": 20},
    "Real Assets": {"VNQ": 50, "GLD": 30, "DBC": 20},
}
LONG = "Endowment Style Multi-Asset with Alternatives (Taxable, Low Turnover)"
TILTED = "Real Assets Diversified"  # its targets change after the first delivery
# Securities, models (in capitals: none is a symbol) and cash, in percent. Some securities are in a model as well.
PORTFOLIOS = {
    "Conservative Income": {"BND": 30, "VTIP": 15, "VTEB": 15, "VTI": 15, "Dividend Income": 20, "cash": 5},
    "Balanced 60/40": {"Global Equity Core": 60, "Core Bond Ladder": 38, "cash": 2},
    "Balanced with Dividends": {
        "VTI": 25, "VXUS": 15, "BND": 20, "Dividend Income": 20, "Global Equity Core": 18, "cash": 2,
    },
    "Growth 80/20": {"VTI": 20, "Global Equity Core": 50, "QQQ": 10, "BND": 18, "cash": 2},
    "Aggressive Growth": {"QQQ": 20, "VUG": 20, "Technology Leaders": 30, "VB": 15, "VWO": 14, "cash": 1},
    "Municipal Bond Ladder": {"VTEB": 40, "MUB": 40, "SHY": 17, "cash": 3},
    "Retirement Income": {"BND": 25, "SCHD": 20, "VNQ": 10, "Core Bond Ladder": 40, "cash": 5},
    "Technology Focus": {"Technology Leaders": 60, "AAPL": 10, "MSFT": 10, "QQQ": 17, "cash": 3},
    TILTED: {"Real Assets": 40, "VTI": 30, "TIP": 27, "cash": 3},
    "Fully Invested Index": {"VTI": 60, "VXUS": 25, "BND": 15, "cash": 0},
    "Mutual Fund Core": {"VTSAX": 50, "VTIAX": 20, "VBTLX": 28, "cash": 2},
    LONG: {"VTI": 30, "GLD": 10, "Real Assets": 20, "IEF": 20, "VXUS": 17, "cash": 3},
    "All Cash": {"cash": 100},
}  # fmt: skip
# threshold_lower, threshold_upper, precision_lower, precision_upper, band_kind, triggers; the others have the defaults
BANDS = {
    ("Municipal Bond Ladder", "SHY"): ("3", "3", "0.5", "0.5", "absolute", "true"),
    ("Technology Focus", "QQQ"): ("15", "25", "3", "3", "relative", "true"),
    ("Conservative Income", "cash"): ("2", "2", "0.5", "0.5", "absolute", "true"),
    (LONG, "GLD"): ("", "", "", "", "relative", "false"),
}
LATER = {TILTED: {"Real Assets": 55, "VTI": 25, "TIP": 17, "cash": 3}}

FAMILIES = ("Okonkwo", "Lindqvist", "Featherstonehaugh-Cholmondeley", "Nakamura", "Delacroix", "Vasquez", "Abernathy",
            "Novak", "Whitfield", "Rasmussen", "Ibrahim", "Castellanos", "Moreau", "Petrov", "Goldberg", "Sullivan",
            "Tanaka", "Haddad", "Brennan", "Kowalczyk")  # fmt: skip
FIRST_NAMES = ("Amara", "Erik", "Penelope", "Kenji", "Camille", "Diego", "Ruth", "Jan", "Theodore", "Sofie", "Yusuf",
               "Lucia", "Étienne", "Irina", "Miriam", "Patrick", "Hana", "Layla", "Maeve", "Tomasz")  # fmt: skip
KINDS = (("Individual", "taxable"), ("Rollover IRA", "tax_deferred"), ("Roth IRA", "tax_exempt"),
         ("Joint Tenants with Rights of Survivorship", "taxable"), ("Irrevocable Family Trust", "taxable"))  # fmt: skip
CUSTODIANS = ("Fidelity", "Charles Schwab", "Pershing")
ADVISORS = ("advisor1", "advisor2", "advisor3")
METHODS = ("", "hifo", "minimum_tax", "fifo", "lifo")
MANAGED = "managed"


@dataclass(frozen=True)
class Story:
    """What is special about an account. `tilts`: how many times its target a symbol (or sleeve:symbol) is held."""

    portfolio: str | None
    tilts: dict = field(default_factory=dict)
    cash: float | None = None  # weight; None: as the target says
    extra: dict = field(default_factory=dict)  # sleeve:symbol: share of the value, beside the targets
    never: bool = False
    on: bool = True
    set_aside: int = 0
    unknown: str = ""  # the symbol whose lots have no cost
    flow: float = 0  # deposit (withdrawal below 0) two days ago, as a share of the value
    restriction: tuple = ()  # kind, symbol, substitute, days until the end (0: open)
    invested: bool = True
    switched: bool = False  # rebalancing goes on after the delivery
    value: int = 0


STORIES = (
    # inside of tolerance
    *(Story(name) for name in list(PORTFOLIOS)[:12] if name != TILTED),
    Story("Balanced 60/40", set_aside=5_000),
    Story("Growth 80/20", extra={"protected:AAPL": 0.12}),
    Story("Retirement Income", extra={"managed:SPAXX": 0.03}, cash=0.02),
    # out of tolerance: some far, some only just
    Story("Balanced 60/40", {"VXUS": 1.35, "BND": 0.8}),
    Story("Balanced with Dividends", {"managed:VTI": 1.4, "Global Equity Core:VTI": 0.45}),
    Story("Balanced with Dividends", {"managed:VTI": 0.6, "Global Equity Core:VTI": 1.6, "SCHD": 1.25}),
    Story("Growth 80/20", {"managed:VTI": 1.3, "Global Equity Core:VTI": 0.7, "QQQ": 1.25}),
    Story("Aggressive Growth", {"NVDA": 1.6, "VWO": 0.7}),
    Story("Technology Focus", {"Technology Leaders:AAPL": 1.5, "managed:AAPL": 0.5}),
    Story("Municipal Bond Ladder", {"SHY": 1.25, "MUB": 0.9}),
    Story("Conservative Income", {"VTIP": 0.7, "VTI": 1.3}),
    Story("Fully Invested Index", {"VXUS": 0.72, "BND": 1.3}),
    Story("Mutual Fund Core", {"VTIAX": 1.3, "VBTLX": 0.85}),
    Story(LONG, {"VNQ": 1.4, "IEF": 0.75}),
    Story("Retirement Income", {"VNQ": 1.45}),
    # holdings without target
    Story("Balanced 60/40", extra={"managed:KO": 0.02, "managed:T": 0.015}),
    Story("Growth 80/20", extra={"managed:DODGX": 0.03}),
    Story("Conservative Income", extra={"managed:INTC": 0.01}),
    # cash
    Story("Balanced 60/40", cash=0.11),
    Story("Growth 80/20", cash=0.09),
    Story("Fully Invested Index", cash=0.05),
    Story("Conservative Income", cash=0.14),
    Story("Technology Focus", cash=0.12, set_aside=20_000),
    Story("Retirement Income", cash=0.01),
    Story("Conservative Income", cash=0.012),
    Story("Municipal Bond Ladder", cash=0.005),
    Story("Aggressive Growth", {"QQQ": 1.02}, cash=-0.012),
    # first rebalance, and switched on
    Story("Balanced 60/40", never=True),
    Story("Growth 80/20", never=True, cash=0.3, tilts={"QQQ": 0, "BND": 0.5}),
    Story("Retirement Income", never=True, cash=0.004),
    Story("Balanced with Dividends", on=False, switched=True),
    Story("Technology Focus", {"MSFT": 0.8}, on=False, switched=True),
    # another target since
    Story(TILTED),
    Story(TILTED, {"GLD": 1.05}),
    # rebalancing off
    Story("Aggressive Growth", {"VUG": 1.3}, on=False),
    # no portfolio, liquidation
    Story(None, on=False),
    Story(None, invested=False),
    Story(None, extra={"managed:VTI": 0.4, "managed:BND": 0.3}),
    Story("All Cash", extra={"managed:JPM": 0.25, "managed:XOM": 0.2}),
    # unable to check
    Story("Growth 80/20", extra={f"managed:{UNPRICED}": 0.01}),
    # need extra attention
    Story("Aggressive Growth", {"NVDA": 1.5, "VUG": 0.9}, restriction=("no_sell", "NVDA", "", 60)),
    Story("Balanced 60/40", {"VCIT": 0.55}, restriction=("no_buy", "VCIT", "", 0)),
    Story("Retirement Income", {"VNQ": 1.5}, restriction=("do_not_trade", "VNQ", "", 0)),
    Story("Growth 80/20", extra={"managed:IBM": 0.02}, unknown="IBM"),
    Story("Fully Invested Index", {"VTI": 1.28, "VXUS": 0.5, "BND": 0.6}),
    # the other restrictions
    Story("Technology Focus", restriction=("exclude_to_cash", "GOOGL", "", 0)),
    Story("Conservative Income", restriction=("exclude_pro_rata", "SCHD", "", 0)),
    Story("Fully Invested Index", restriction=("substitute", "VXUS", "IXUS", 200)),
    # money came, money went
    Story("Balanced 60/40", flow=-0.05, cash=0.006),
    Story("Growth 80/20", flow=-0.03),
    Story("Municipal Bond Ladder", flow=0.08, cash=0.09),
    Story("Retirement Income", flow=0.04),
)


@dataclass
class _Row:
    account: str
    sleeve: str
    symbol: str
    weight: float


class DemoBook:
    """The demo firm's files around a session; `first` and `later` are {name: text} of two deliveries."""

    def __init__(self, session):
        self.session = session
        self.tables = {
            "accounts": ["account_number,name,custodian,advisor,household,tax_status,portfolio,linked_portfolios,"
                         "rebalancing_on,last_rebalanced,set_aside_cash,lot_method"],
            "cash": ["account_number,amount"],
            "lots": ["account_number,sleeve,symbol,lot_id,quantity,total_cost,acquired_on"],
            "transactions": ["account_number,date,kind,symbol,quantity,amount,external_id"],
            "restrictions": ["account_number,symbol,kind,substitute,start,end"],
        }  # fmt: skip
        for place, story in enumerate(STORIES):
            self._add(place, story)

    @property
    def first(self):
        tables = {"securities": _securities(), "models": _models(), "portfolios": _portfolios(PORTFOLIOS)} | self.tables
        return _files(tables)

    @property
    def later(self):
        """A change of targets after the accounts have come."""
        return _files({"portfolios": _portfolios(LATER)})

    @property
    def switched(self):
        """Numbers of the accounts whose rebalancing is switched on after they have come."""
        return [number(place) for place, story in enumerate(STORIES) if story.switched]

    # --- one account ---

    def _add(self, place, story):
        value = 140_000 + 55_000 * ((place * 7) % 23)
        held = self._lots(place, story, value)
        weight = story.cash if story.cash is not None else _target_cash(story, held)
        self.tables["cash"].append(f"{number(place)},{value * weight + story.set_aside:.2f}")
        self.tables["accounts"].append(self._account(place, story))
        self.tables["transactions"] += self._transactions(place, story, value)
        if story.restriction:
            kind, symbol, substitute, days = story.restriction
            end = self._day(-days) if days else ""
            row = (number(place), symbol, kind, substitute, self._day(45), end)
            self.tables["restrictions"].append(",".join(row))

    def _account(self, place, story):
        family = (place * 3) % len(FAMILIES)
        kind, status = KINDS[0 if story.unknown else place % len(KINDS)]
        own = story.portfolio or ""
        linked = dict.fromkeys([own, "Balanced 60/40", "Conservative Income"] if own not in ("", "All Cash") else [])
        return ",".join([
            number(place), f"{FIRST_NAMES[place % len(FIRST_NAMES)]} {FAMILIES[family]} {kind}", CUSTODIANS[place % 3],
            ADVISORS[family % 3] if place != 8 else "", f"{FAMILIES[family]} household", status, _quoted(own),
            _quoted(";".join(linked)), "true" if story.on else "false",
            "" if story.never else self._day(40 + (place * 11) % 150), str(story.set_aside or ""),
            METHODS[place % len(METHODS)],
        ])  # fmt: skip

    def _lots(self, place, story, value):
        """Write the lots; return whether there are any."""
        wanted = _flat(PORTFOLIOS[story.portfolio]) if story.portfolio else {}
        wanted = {at: share * _tilt(story.tilts, at) for at, share in wanted.items()} if story.invested else {}
        for (sleeve, symbol), share in (wanted | {_place(at): share for at, share in story.extra.items()}).items():
            price = HOLDINGS[symbol].price if symbol in HOLDINGS else 50.0
            step = Decimal(HOLDINGS[symbol].step if symbol in HOLDINGS else 1)
            shares = (Decimal(str(value * share / price)) / step).quantize(Decimal(1)) * step
            if shares > 0:
                self._position(place, story, (sleeve, symbol), shares, price)
        return bool(wanted)

    def _position(self, place, story, at, shares, price):
        """Three lots: an old one, one around a year old, and a recent one, bought cheaper, dearer and in between."""
        sleeve, symbol = at
        step = Decimal(HOLDINGS[symbol].step if symbol in HOLDINGS else 1)
        parts = [(shares * part / step).quantize(Decimal(1)) * step for part in (Decimal("0.5"), Decimal("0.3"))]
        salt = place + sum(map(ord, symbol))
        for count, (part, ratio, age) in enumerate(zip(
            (*parts, shares - sum(parts)),
            (0.62 + salt % 7 / 50, 1.09 - salt % 5 / 40, 0.95 + salt % 9 / 60),
            (900 + salt * 13 % 1500, 362 + salt % 7, 12 + salt * 5 % 200), strict=True,
        )):  # fmt: skip
            if part > 0:
                cost = "" if symbol in (story.unknown, UNPRICED) else f"{float(part) * price * ratio:.2f}"
                label = f"{number(place)},{sleeve},{symbol},{symbol}-{count + 1}"
                self.tables["lots"].append(f"{label},{part.normalize():f},{cost},{self._day(age)}")

    def _transactions(self, place, story, value):
        if story.flow:
            kind = "deposit" if story.flow > 0 else "withdrawal"
            yield f"{number(place)},{self._day(2)},{kind},,,{value * story.flow:.2f},F{place}"
        yield f"{number(place)},{self._day(28)},dividend,VTI,,{value * 0.002:.2f},D{place}"
        yield f"{number(place)},{self._day(33)},fee,,,{-value * 0.0005:.2f},E{place}"

    def _day(self, before):
        return (self.session - timedelta(days=before)).isoformat()


def number(place):
    """The number of an account: D-1001 is the first."""
    return f"D-{1001 + place}"


def _flat(components):
    """{(sleeve, symbol): share of V} of a portfolio's securities."""
    found = {}
    for name, percent in components.items():
        if name in MODELS:
            found |= {(f"model:{name}", symbol): percent * part / 10_000 for symbol, part in MODELS[name].items()}
        elif name != "cash":
            found[MANAGED, name] = percent / 100
    return found


def _tilt(tilts, at):
    sleeve, symbol = at
    return tilts.get(f"{sleeve.removeprefix('model:')}:{symbol}", tilts.get(symbol, 1))


def _place(text):
    sleeve, symbol = text.rsplit(":", 1)
    return sleeve, symbol


def _target_cash(story, invested):
    """The target where there is one; 3 % where there is nothing to hold money back for."""
    if story.portfolio in (None, "All Cash") or not invested:
        return 0.35
    return PORTFOLIOS[story.portfolio]["cash"] / 100 or 0.002


def _securities():
    rows = [f"{one.symbol},{one.name},{one.kind},{one.asset_class},{one.step}" for one in HOLDINGS.values()]
    rows += [f"{symbol},{name},{kind},{asset_class},1" for symbol, (name, kind, asset_class) in OTHERS.items()]
    return ["symbol,name,kind,asset_class,quantity_step", *rows]


def _models():
    return ["model,symbol,weight", *(f"{name},{s},{w}" for name, weights in MODELS.items() for s, w in weights.items())]


def _portfolios(portfolios):
    rows = ["portfolio,component_kind,component,weight,threshold_lower,threshold_upper,precision_lower,precision_upper,"
            "band_kind,triggers"]  # fmt: skip
    for name, components in portfolios.items():
        for held, weight in components.items():
            kind = "cash" if held == "cash" else "model" if held in MODELS else "security"
            bands = BANDS.get((name, held), ("", "", "", "", "relative", "true"))
            cells = [_quoted(name), kind, "" if held == "cash" else held, str(weight), *bands]
            rows.append(",".join(cells))
    return rows


def _quoted(text):
    return f'"{text}"' if "," in text else text


def _files(tables):
    return {f"{name}.csv": "\n".join(rows) + "\n" for name, rows in tables.items()}
