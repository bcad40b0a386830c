package shop;

import static org.hamcrest.Matchers.contains;
import static org.hamcrest.Matchers.empty;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static shop.Shop.order;
import static shop.Shop.stock;
import static shop.Shop.subjects;

import java.util.List;
import org.junit.jupiter.api.Test;
import shop.Shop.Customer;

class OrdersTest {
    private final Customer customer = new Customer().registered();

    @Test
    void anOrderIsPlaced() {
        String id = customer.request().body(order("GFT-25", "tok_visa")).post("/orders").then().statusCode(201).extract().path("id");
        customer.request().get("/orders").then().statusCode(200).body("id", contains(id));
    }

    @Test
    void aDeclinedPaymentRollsBack() {
        int before = stock("TEA-01");
        customer.request().body(order("TEA-01", "tok_declined")).post("/orders").then().statusCode(402);
        customer.request().get("/orders").then().statusCode(200).body("$", empty());
        assertEquals(before, stock("TEA-01"));
    }

    @Test
    void theConfirmationIsMailed() throws InterruptedException {
        String id = customer.request().body(order("GFT-50", "tok_visa")).post("/orders").then().statusCode(201).extract().path("id");
        assertEquals(List.of("Your order " + id), subjects(customer.email()));
    }
}
