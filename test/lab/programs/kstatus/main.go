// kstatus reads a JSON list of Kubernetes objects and prints what the library that Flux, kpt and others wait by makes of each.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/cli-utils/pkg/kstatus/status"
)

type answer struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "kstatus:", err)
		os.Exit(1)
	}
}

func run() error {
	var objects []map[string]any
	if err := json.NewDecoder(os.Stdin).Decode(&objects); err != nil {
		return err
	}
	answers := make([]answer, 0, len(objects))
	for _, object := range objects {
		text, err := json.Marshal(object)
		if err != nil {
			return err
		}
		// Numbers as the API machinery reads them: whole ones are int64.
		u := &unstructured.Unstructured{}
		if err := u.UnmarshalJSON(text); err != nil {
			return err
		}
		result, err := status.Compute(u)
		if err != nil {
			return err
		}
		answers = append(answers, answer{Status: string(result.Status), Message: result.Message})
	}
	return json.NewEncoder(os.Stdout).Encode(answers)
}
