"""The errors that the API reports to a customer, with their HTTP statuses.

ShopError
├── EmailTaken         409
├── NotAuthenticated   401
├── UnknownProduct     404
├── UnknownOrder       404
├── OutOfStock         409
├── PaymentDeclined    402
├── ProviderFailed     502
└── NotReady           503
"""

from __future__ import annotations

from typing import ClassVar


class ShopError(Exception):
    status: ClassVar[int] = 500


class EmailTaken(ShopError):
    status = 409


class NotAuthenticated(ShopError):
    status = 401


class UnknownProduct(ShopError):
    status = 404


class UnknownOrder(ShopError):
    status = 404


class OutOfStock(ShopError):
    status = 409


class PaymentDeclined(ShopError):
    status = 402


class ProviderFailed(ShopError):
    status = 502


class NotReady(ShopError):
    status = 503
