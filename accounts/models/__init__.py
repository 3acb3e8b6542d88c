from .audit import AuditLine
from .firms import Firm, FirmVersion, LotMethod
from .holdings import (
    Account,
    Delivery,
    DeliveryFile,
    Position,
    Restriction,
    RunRecord,
    Sleeve,
    TaxStatus,
    Transaction,
)
from .people import Custodian, Household, Role, User
from .portfolios import Component, Model, ModelVersion, ModelWeight, Portfolio, PortfolioVersion
from .securities import Price, Security

__all__ = [
    "Account",
    "AuditLine",
    "Component",
    "Custodian",
    "Delivery",
    "DeliveryFile",
    "Firm",
    "FirmVersion",
    "Household",
    "LotMethod",
    "Model",
    "ModelVersion",
    "ModelWeight",
    "Portfolio",
    "PortfolioVersion",
    "Position",
    "Price",
    "Restriction",
    "Role",
    "RunRecord",
    "Security",
    "Sleeve",
    "TaxStatus",
    "Transaction",
    "User",
]
