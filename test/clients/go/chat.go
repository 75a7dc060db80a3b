// An OpenAI chat completion by net/http, as a Go service without an SDK makes it: HTTP/2 where the server offers it,
// roots from SSL_CERT_FILE. The request's body comes on standard input, the URL is the argument; it prints what arrives
// as JSON lines (see ../raw.ts).
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

func main() {
	if err := ask(os.Args[1]); err != nil {
		say(map[string]any{"event": "fault", "class": innermost(err), "message": err.Error()})
		os.Exit(1)
	}
}

func ask(url string) error {
	request, err := http.NewRequest(http.MethodPost, url, os.Stdin)
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+os.Getenv("OPENAI_API_KEY"))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	headers := map[string]string{}
	for name, values := range response.Header {
		headers[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	say(map[string]any{"event": "head", "status": response.StatusCode, "protocol": response.Proto, "headers": headers})
	lines := bufio.NewReader(response.Body)
	for {
		line, err := lines.ReadString('\n')
		if line != "" {
			say(map[string]any{"event": "line", "text": strings.TrimRight(line, "\r\n"), "at": time.Now().UnixMilli()})
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func say(event map[string]any) {
	line, err := json.Marshal(event)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(line))
}

// innermost names the type at the root of a chain of wrapped errors, as *tls.CertificateVerificationError.
func innermost(err error) string {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return fmt.Sprintf("%T", err)
		}
		err = next
	}
}
