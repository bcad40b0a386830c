package shop;

import static org.hamcrest.Matchers.equalTo;
import static shop.Shop.api;

import org.junit.jupiter.api.Test;
import shop.Shop.Customer;

class CustomersTest {
    @Test
    void aCustomerRegisters() {
        var customer = new Customer();
        api().body(customer).post("/customers").then().statusCode(201).body("email", equalTo(customer.email()));
    }

    @Test
    void anAddressRegistersOnce() {
        api().body(new Customer().registered()).post("/customers").then().statusCode(409);
    }

    @Test
    void aWrongPasswordIsRefused() {
        var customer = new Customer().registered();
        api().body(new Customer(customer.email(), "Ada", "not the password")).post("/tokens")
            .then().statusCode(401).body("detail", equalTo("wrong address or password"));
    }
}
