"""Securities of synthetic books: well-known symbols with asset classes and plausible prices, then made-up ones."""

from dataclasses import dataclass

ETF, EQUITY, FUND, SWEEP = "etf", "equity", "mutual_fund", "sweep"


@dataclass(frozen=True)
class Listed:
    symbol: str
    name: str
    kind: str
    asset_class: str
    price: float

    @property
    def step(self):
        return {FUND: "0.001", SWEEP: "0.01"}.get(self.kind, "1")


_ETFS = """
VTI|Vanguard Total Stock Market ETF|US Equity|331.42
VOO|Vanguard S&P 500 ETF|US Equity|618.75
SPY|SPDR S&P 500 ETF Trust|US Equity|672.13
IVV|iShares Core S&P 500 ETF|US Equity|675.30
QQQ|Invesco QQQ Trust|US Equity|607.88
SCHB|Schwab U.S. Broad Market ETF|US Equity|25.91
ITOT|iShares Core S&P Total U.S. Stock Market ETF|US Equity|147.05
VUG|Vanguard Growth ETF|US Equity|484.60
VTV|Vanguard Value ETF|US Equity|188.22
SCHD|Schwab U.S. Dividend Equity ETF|US Equity|27.14
VIG|Vanguard Dividend Appreciation ETF|US Equity|217.36
IJH|iShares Core S&P Mid-Cap ETF|US Mid Cap|65.48
VO|Vanguard Mid-Cap ETF|US Mid Cap|291.77
IJR|iShares Core S&P Small-Cap ETF|US Small Cap|118.93
VB|Vanguard Small-Cap ETF|US Small Cap|254.31
IWM|iShares Russell 2000 ETF|US Small Cap|237.64
AVUV|Avantis U.S. Small Cap Value ETF|US Small Cap|99.87
VXUS|Vanguard Total International Stock ETF|International Equity|75.26
IXUS|iShares Core MSCI Total International Stock ETF|International Equity|84.12
VEA|Vanguard FTSE Developed Markets ETF|International Equity|61.09
IEFA|iShares Core MSCI EAFE ETF|International Equity|88.53
EFA|iShares MSCI EAFE ETF|International Equity|94.41
SCHF|Schwab International Equity ETF|International Equity|23.60
VWO|Vanguard FTSE Emerging Markets ETF|Emerging Markets|54.87
IEMG|iShares Core MSCI Emerging Markets ETF|Emerging Markets|67.02
EEM|iShares MSCI Emerging Markets ETF|Emerging Markets|54.15
AGG|iShares Core U.S. Aggregate Bond ETF|US Bonds|100.27
BND|Vanguard Total Bond Market ETF|US Bonds|74.35
SCHZ|Schwab U.S. Aggregate Bond ETF|US Bonds|23.46
BNDX|Vanguard Total International Bond ETF|International Bonds|49.58
TIP|iShares TIPS Bond ETF|Inflation-Protected Bonds|111.09
VTIP|Vanguard Short-Term Inflation-Protected Securities ETF|Inflation-Protected Bonds|50.43
SHY|iShares 1-3 Year Treasury Bond ETF|US Treasuries|82.91
IEF|iShares 7-10 Year Treasury Bond ETF|US Treasuries|97.18
TLT|iShares 20+ Year Treasury Bond ETF|US Treasuries|90.02
GOVT|iShares U.S. Treasury Bond ETF|US Treasuries|23.21
BSV|Vanguard Short-Term Bond ETF|US Bonds|79.04
BIV|Vanguard Intermediate-Term Bond ETF|US Bonds|78.13
LQD|iShares iBoxx $ Investment Grade Corporate Bond ETF|Corporate Bonds|111.60
VCIT|Vanguard Intermediate-Term Corporate Bond ETF|Corporate Bonds|84.20
HYG|iShares iBoxx $ High Yield Corporate Bond ETF|High Yield Bonds|80.77
JNK|SPDR Bloomberg High Yield Bond ETF|High Yield Bonds|97.25
MUB|iShares National Muni Bond ETF|Municipal Bonds|106.94
VTEB|Vanguard Tax-Exempt Bond ETF|Municipal Bonds|50.36
EMB|iShares J.P. Morgan USD Emerging Markets Bond ETF|Emerging Market Bonds|96.11
VNQ|Vanguard Real Estate ETF|Real Estate|90.45
SCHH|Schwab U.S. REIT ETF|Real Estate|21.33
VNQI|Vanguard Global ex-U.S. Real Estate ETF|Real Estate|47.28
GLD|SPDR Gold Shares|Commodities|375.96
IAU|iShares Gold Trust|Commodities|77.01
DBC|Invesco DB Commodity Index Tracking Fund|Commodities|22.84
XLK|Technology Select Sector SPDR Fund|US Sectors|283.17
XLF|Financial Select Sector SPDR Fund|US Sectors|52.49
XLV|Health Care Select Sector SPDR Fund|US Sectors|150.72
XLE|Energy Select Sector SPDR Fund|US Sectors|90.13
XLI|Industrial Select Sector SPDR Fund|US Sectors|152.60
XLP|Consumer Staples Select Sector SPDR Fund|US Sectors|77.39
XLU|Utilities Select Sector SPDR Fund|US Sectors|87.55
XLY|Consumer Discretionary Select Sector SPDR Fund|US Sectors|229.70
USMV|iShares MSCI USA Min Vol Factor ETF|US Equity|94.83
MTUM|iShares MSCI USA Momentum Factor ETF|US Equity|246.11
QUAL|iShares MSCI USA Quality Factor ETF|US Equity|194.90
DFAC|Dimensional U.S. Core Equity 2 ETF|US Equity|38.77
"""
_STOCKS = """
AAPL|Apple Inc.|271.49
MSFT|Microsoft Corporation|472.12
NVDA|NVIDIA Corporation|178.88
AMZN|Amazon.com Inc.|220.69
GOOGL|Alphabet Inc. Class A|299.66
META|Meta Platforms Inc.|594.25
BRK.B|Berkshire Hathaway Inc. Class B|504.04
AVGO|Broadcom Inc.|340.20
TSLA|Tesla Inc.|391.09
JPM|JPMorgan Chase & Co.|298.02
LLY|Eli Lilly and Company|1059.70
V|Visa Inc. Class A|327.98
MA|Mastercard Incorporated Class A|535.45
UNH|UnitedHealth Group Incorporated|319.97
XOM|Exxon Mobil Corporation|117.08
JNJ|Johnson & Johnson|203.90
PG|The Procter & Gamble Company|150.97
HD|The Home Depot Inc.|343.29
COST|Costco Wholesale Corporation|899.01
ABBV|AbbVie Inc.|236.28
KO|The Coca-Cola Company|72.98
PEP|PepsiCo Inc.|148.14
WMT|Walmart Inc.|105.32
MRK|Merck & Co. Inc.|97.77
CVX|Chevron Corporation|149.97
ADBE|Adobe Inc.|324.58
CRM|Salesforce Inc.|227.11
CSCO|Cisco Systems Inc.|76.10
ORCL|Oracle Corporation|198.76
ACN|Accenture plc Class A|248.36
MCD|McDonald's Corporation|309.28
TMO|Thermo Fisher Scientific Inc.|588.38
ABT|Abbott Laboratories|128.60
LIN|Linde plc|409.12
DIS|The Walt Disney Company|104.28
INTC|Intel Corporation|34.50
VZ|Verizon Communications Inc.|41.20
NKE|NIKE Inc. Class B|62.79
NEE|NextEra Energy Inc.|84.35
UPS|United Parcel Service Inc. Class B|93.95
CAT|Caterpillar Inc.|551.60
HON|Honeywell International Inc.|193.46
IBM|International Business Machines Corporation|297.44
AMGN|Amgen Inc.|337.34
T|AT&T Inc.|25.70
"""
_FUNDS = """
VFIAX|Vanguard 500 Index Fund Admiral Shares|US Equity|620.31
VTSAX|Vanguard Total Stock Market Index Fund Admiral Shares|US Equity|161.08
VTIAX|Vanguard Total International Stock Index Fund Admiral Shares|International Equity|40.55
VBTLX|Vanguard Total Bond Market Index Fund Admiral Shares|US Bonds|9.79
FXAIX|Fidelity 500 Index Fund|US Equity|233.72
FSKAX|Fidelity Total Market Index Fund|US Equity|184.43
FTIHX|Fidelity Total International Index Fund|International Equity|16.52
FXNAX|Fidelity U.S. Bond Index Fund|US Bonds|10.61
SWPPX|Schwab S&P 500 Index Fund|US Equity|103.64
DODGX|Dodge & Cox Stock Fund Class I|US Equity|16.84
PIMIX|PIMCO Income Fund Institutional Class|US Bonds|10.98
AGTHX|American Funds The Growth Fund of America Class A|US Equity|88.91
"""
SWEEPS = (
    Listed("SPAXX", "Fidelity Government Money Market Fund", SWEEP, "Cash", 1.0),
    Listed("SWVXX", "Schwab Value Advantage Money Fund", SWEEP, "Cash", 1.0),
)


def _rows(text):
    return [line.split("|") for line in text.strip().splitlines()]


REAL = (
    *(Listed(symbol, name, ETF, kind, float(price)) for symbol, name, kind, price in _rows(_ETFS)),
    *(Listed(symbol, name, EQUITY, "US Equity", float(price)) for symbol, name, price in _rows(_STOCKS)),
    *(Listed(symbol, name, FUND, kind, float(price)) for symbol, name, kind, price in _rows(_FUNDS)),
)
CLASSES = ("US Equity", "International Equity", "US Bonds", "Real Estate", "Commodities")


def listed(count, dice):
    """`count` tradable securities or more: the real ones, then made-up ones; sweeps are not among them."""
    return [*REAL, *(_made_up(number, dice) for number in range(count - len(REAL)))]


def _made_up(number, dice):
    kind = (EQUITY, ETF, FUND)[number % 3]
    price = round(float(dice.between("price", number, 8, 260)), 2)
    return Listed(f"ZZ{number + 1:04d}", f"Synthetic {kind.replace('_', ' ').title()} {number + 1}", kind,
                  CLASSES[number % len(CLASSES)], price)  # fmt: skip
