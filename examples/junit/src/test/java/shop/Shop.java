package shop;

import static io.restassured.RestAssured.given;

import io.restassured.http.ContentType;
import io.restassured.specification.RequestSpecification;
import java.util.List;
import java.util.Map;
import java.util.UUID;

/** The shop as the environment has it, and a customer of one test. */
final class Shop {
    private Shop() {}

    static RequestSpecification api() {
        return given().baseUri(System.getenv("API_URL")).contentType(ContentType.JSON);
    }

    static int stock(String sku) {
        return api().get("/products/" + sku).then().statusCode(200).extract().path("stock");
    }

    record Customer(String email, String name, String password) {
        Customer() {
            this("ada." + UUID.randomUUID() + "@example.com", "Ada", "correct horse battery");
        }

        Customer registered() {
            api().body(this).post("/customers").then().statusCode(201);
            return this;
        }

        RequestSpecification request() {
            String token = api().body(this).post("/tokens").then().statusCode(201).extract().path("access_token");
            return api().auth().oauth2(token);
        }
    }

    static Map<String, Object> order(String sku, String card) {
        return Map.of("card", card, "lines", List.of(Map.of("sku", sku, "quantity", 1)));
    }

    /** The subjects of the mails to an address, waited for: they are sent after the order was answered. */
    static List<String> subjects(String address) throws InterruptedException {
        for (long deadline = System.nanoTime() + 20_000_000_000L; ; Thread.sleep(100)) {
            List<String> found = given().baseUri(System.getenv("MAIL_API_URL"))
                .auth().preemptive().basic(System.getenv("MAIL_USERNAME"), System.getenv("MAIL_PASSWORD"))
                .queryParam("query", "to:\"" + address + "\"")
                .get("/search").then().statusCode(200).extract().path("messages.Subject");
            if (!found.isEmpty()) return found;
            if (System.nanoTime() > deadline) throw new AssertionError("no mail has come to " + address);
        }
    }
}
