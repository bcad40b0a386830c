"""The request and response bodies of the API; FastAPI generates the OpenAPI document from them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field

Email = Annotated[str, Field(pattern=r"^[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}$", max_length=254)]
# No control characters: the name goes into a mail header.
PersonName = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]+$", max_length=100)]
Sku = Annotated[str, Field(pattern=r"^[A-Z0-9-]+$", max_length=40)]
Category = Annotated[str, Field(pattern=r"^[a-z-]+$", max_length=40)]


class Problem(BaseModel):
    detail: str


class Health(BaseModel):
    status: str


class Registration(BaseModel):
    email: Email
    name: PersonName
    password: str = Field(min_length=10, max_length=200)


class Customer(BaseModel):
    id: UUID
    email: str
    name: str


class Credentials(BaseModel):
    email: Email
    password: str = Field(max_length=200)
    lifetime: int = Field(3600, ge=1, le=3600, description="Seconds that the token is to be valid.")


class Token(BaseModel):
    access_token: str
    token_type: str = "bearer"
    expires_in: int


class Product(BaseModel):
    sku: str
    name: str
    brand: str | None
    category: str
    description: str | None
    price_cents: int
    stock: int


class Line(BaseModel):
    sku: Sku
    quantity: int = Field(ge=1, le=100)


class OrderRequest(BaseModel):
    card: str = Field(min_length=1, max_length=100, description="The card's token, as the payment provider issued it.")
    lines: list[Line] = Field(min_length=1, max_length=50)


class OrderLine(BaseModel):
    sku: str
    quantity: int
    price_cents: int


class Order(BaseModel):
    id: UUID
    total_cents: int
    created_at: datetime
    lines: list[OrderLine]
