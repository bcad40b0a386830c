package shop;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** A database of one test alone, with Java's own HTTP client: see docs/leases.md. */
class LeaseTest {
    private static final Pattern ID = Pattern.compile("\"id\": *\"([^\"]+)\"");

    @Test
    void aLeaseIsThisTestsOwnDatabase() throws Exception {
        HttpResponse<String> lease = ask("POST", "/v1/leases", "{\"service\": \"db\", \"ttl\": \"1m\"}");
        assertEquals(201, lease.statusCode());
        assertTrue(lease.body().contains("shop_lease_"), lease.body());
        Matcher id = ID.matcher(lease.body());
        assertTrue(id.find());
        assertEquals(200, ask("DELETE", "/v1/leases/" + id.group(1), "").statusCode());
    }

    private static HttpResponse<String> ask(String method, String path, String body) throws Exception {
        HttpRequest request = HttpRequest.newBuilder(URI.create(System.getenv("ENVCTL_URL") + path))
                .header("Authorization", "Bearer " + System.getenv("ENVCTL_TOKEN"))
                .method(method, BodyPublishers.ofString(body))
                .build();
        return HttpClient.newHttpClient().send(request, BodyHandlers.ofString());
    }
}
