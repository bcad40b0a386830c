package shop;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.intuit.karate.Results;
import com.intuit.karate.Runner;
import org.junit.jupiter.api.Test;

class ShopTest {
    /** `-Dthreads=4`: as many scenarios at once. */
    @Test
    void everyFeature() {
        Results results = Runner.path("classpath:shop").outputJunitXml(true).parallel(Integer.getInteger("threads", 1));
        assertEquals(0, results.getFailCount(), results.getErrorMessages());
    }
}
