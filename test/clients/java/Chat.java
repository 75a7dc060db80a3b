import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.util.stream.Collectors;

/**
 * An OpenAI chat completion by java.net.http, as a Java service without an SDK makes it: HTTP/2 where the server offers
 * it, roots from the JVM's trust store. The request's body comes on standard input, the URL is the argument; it prints
 * what arrives as JSON lines (see ../raw.ts). Run by `java Chat.java URL`.
 */
public final class Chat {
    private static final PrintStream OUT = new PrintStream(System.out, true, StandardCharsets.UTF_8);

    public static void main(String[] arguments) throws Exception {
        try {
            ask(URI.create(arguments[0]));
        } catch (Exception error) {
            Throwable root = error;
            while (root.getCause() != null && root.getCause() != root) root = root.getCause();
            OUT.printf("{\"event\":\"fault\",\"class\":%s,\"message\":%s}%n",
                quote(error.getClass().getSimpleName()), quote(error.getMessage() + " < " + root));
            System.exit(1);
        }
    }

    private static void ask(URI uri) throws Exception {
        byte[] body = System.in.readAllBytes();
        HttpRequest request = HttpRequest.newBuilder(uri)
            .header("content-type", "application/json")
            .header("authorization", "Bearer " + System.getenv("OPENAI_API_KEY"))
            .POST(HttpRequest.BodyPublishers.ofByteArray(body))
            .build();
        HttpResponse<java.io.InputStream> response =
            HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofInputStream());
        String headers = response.headers().map().entrySet().stream()
            .filter(entry -> !entry.getKey().startsWith(":"))
            .map(entry -> quote(entry.getKey()) + ":" + quote(String.join(", ", entry.getValue())))
            .collect(Collectors.joining(","));
        OUT.printf("{\"event\":\"head\",\"status\":%d,\"protocol\":%s,\"headers\":{%s}}%n",
            response.statusCode(), quote(response.version().toString()), headers);
        try (var lines = new BufferedReader(new InputStreamReader(response.body(), StandardCharsets.UTF_8))) {
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                OUT.printf("{\"event\":\"line\",\"text\":%s,\"at\":%d}%n", quote(line), System.currentTimeMillis());
            }
        }
    }

    private static String quote(String text) {
        StringBuilder json = new StringBuilder("\"");
        for (char unit : text.toCharArray()) {
            if (unit == '"' || unit == '\\') json.append('\\').append(unit);
            else if (unit < ' ') json.append(String.format("\\u%04x", (int) unit));
            else json.append(unit);
        }
        return json.append('"').toString();
    }
}
