package webhook

import (
	"encoding/json"
	"time"

	"github.com/esplanade-registry/esplanade/registry/event"
)

// TypePrefix is what the type of a CloudEvent has before that of the event.
const TypePrefix = "io.github.esplanade-registry."

const contentType = "application/cloudevents+json"

// cloudEvent is an event in the JSON format of CloudEvents 1.0.
type cloudEvent struct {
	SpecVersion     string      `json:"specversion"`
	ID              string      `json:"id"`
	Source          string      `json:"source"`
	Type            string      `json:"type"`
	Subject         string      `json:"subject,omitempty"`
	Time            time.Time   `json:"time"`
	DataContentType string      `json:"datacontenttype"`
	Data            event.Event `json:"data"`
}

// message returns the body of a request.
func message(source string, e event.Event) ([]byte, error) {
	subject := e.Account
	if e.Repository != "" {
		subject += "/" + e.Repository
	}
	return json.Marshal(cloudEvent{
		SpecVersion: "1.0", ID: e.ID, Source: source, Type: TypePrefix + string(e.Type), Subject: subject,
		Time: e.Time, DataContentType: "application/json", Data: e,
	})
}
