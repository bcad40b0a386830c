CREATE TABLE orders (
    id          uuid PRIMARY KEY,
    customer_id uuid NOT NULL REFERENCES customers (id),
    total_cents integer NOT NULL CHECK (total_cents > 0),
    payment_id  text,
    created_at  timestamptz NOT NULL
);

CREATE INDEX orders_customer ON orders (customer_id, created_at);

CREATE TABLE order_lines (
    order_id    uuid NOT NULL REFERENCES orders (id),
    sku         text NOT NULL REFERENCES products (sku),
    quantity    integer NOT NULL CHECK (quantity > 0),
    price_cents integer NOT NULL CHECK (price_cents > 0),
    PRIMARY KEY (order_id, sku)
);
