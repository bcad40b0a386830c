CREATE TABLE products (
    sku         text PRIMARY KEY,
    name        text NOT NULL,
    brand       text,
    category    text NOT NULL,
    description text,
    price_cents integer NOT NULL CHECK (price_cents > 0),
    -- The last line of defence against overselling; the row locks in shop/orders.py are the first.
    stock       integer NOT NULL CHECK (stock >= 0)
);

CREATE INDEX products_category ON products (category, sku);
