CREATE TABLE customers (
    id     INT PRIMARY KEY,
    name   VARCHAR(100) NOT NULL,
    street VARCHAR(100),
    note   VARCHAR(200)
);

CREATE TABLE invoices (
    id          INT AUTO_INCREMENT PRIMARY KEY,
    customer_id INT NOT NULL,
    cents       INT NOT NULL CHECK (cents > 0),
    FOREIGN KEY (customer_id) REFERENCES customers (id)
);

DELIMITER //

CREATE PROCEDURE bill(IN customer INT, IN amount INT)
BEGIN
    INSERT INTO invoices (customer_id, cents) VALUES (customer, amount);
    SELECT COUNT(*) AS invoices, SUM(cents) AS cents FROM invoices WHERE customer_id = customer;
END //

DELIMITER ;
