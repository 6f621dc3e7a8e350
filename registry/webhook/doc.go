// Package webhook tells an HTTP endpoint what happens in a registry: a sink that posts each
// event as a CloudEvent, signed, and to public addresses only unless the host says otherwise.
//
//	sink, err := webhook.New(webhook.Config{
//		URL:     "https://ci.example.com/events",
//		Secrets: [][]byte{secret},
//		Source:  "https://registry.example.com",
//		Logger:  logger,
//	})
//	...
//	reg, err := registry.New(registry.Config{Sinks: map[string]event.Sink{"ci": sink}, ...})
//	go reg.Run(ctx)
//
// Each endpoint is a sink of its own, with a name of its own. The events wait in the outbox of
// the registry; the sink keeps none, whatever the endpoint does.
//
// # What the endpoint receives
//
// A POST of Content-Type application/cloudevents+json, which is the structured mode of
// CloudEvents 1.0 over HTTP:
//
//	{
//	  "specversion": "1.0",
//	  "id": "NLSIY2CJBZUD7N4NCI7WFNHMUH",
//	  "source": "https://registry.example.com",
//	  "type": "io.github.esplanade-registry.tag.moved",
//	  "subject": "123456789012/hat",
//	  "time": "2026-03-14T15:09:26.535Z",
//	  "datacontenttype": "application/json",
//	  "data": {"id": "NLSIY2CJBZUD7N4NCI7WFNHMUH", "type": "tag.moved", "repository": "hat", "tag": "v1", ...}
//	}
//
// The type is [TypePrefix] and that of the event, and data is an [event.Event]. The subject is
// the account that owns the registry and the name of the repository, which alone would not say
// whose repository it is; it is the account alone where the event is about no repository. New
// types and new members of data may come with any release: a receiver ignores those that it
// does not know.
//
// It is signed as Standard Webhooks (https://www.standardwebhooks.com) asks, so that the
// libraries of that name verify it, with the secret written as "whsec_" and its base64;
// [Verify] does that in Go.
//
//	Webhook-Id:        the id of the event, the same in every delivery
//	Webhook-Timestamp: when this was sent, in seconds since 1970
//	Webhook-Signature: v1,BASE64 for each secret, separated by spaces
//
// BASE64 is that of the HMAC-SHA256, under the secret, of the id, a dot, the timestamp, a dot
// and the body as it came. To change the secret, give the sink both, then the receiver the new
// one, then the sink the new one alone.
//
// # What the endpoint answers
//
//   - 2xx: it has the event.
//   - 408, 425, 429, 5xx, no answer within [Config.Timeout], or no connection, also because the
//     certificate is not valid or the address refused: it is unavailable. All its events wait.
//     It is left alone for as long as Retry-After says in seconds, up to [MaxRest], and for
//     another Timeout after it did not answer in time.
//   - 410: it does not want the event, which becomes a dead letter at once.
//   - Anything else: it refuses this event. It is sent again later, and those of its repository
//     wait meanwhile.
//
// 307 and 308 are followed, a few times and within the same scheme. What the body of an answer
// says does not matter.
//
// An event may come more than once, also after a 2xx that was lost on the way: receivers
// remember ids, or do what does no harm the second time. Events of a repository come in the
// order in which they happened, those of several at once. The pauses between tries are those
// of the outbox, from a second to ten minutes.
//
// # Dead letters
//
// An event whose try fails when it is older than [Config.MaxAge] goes to [Config.Dead], and
// those behind it go on. So an endpoint that never comes back does not fill the outbox.
//
// # Addresses
//
// Whoever chooses a URL chooses what the server connects to. [Transport] therefore looks at the
// address of every connection once the name is resolved, so that neither a name, nor one that
// resolves differently the second time, nor a redirect leads into the network of the host or to
// the metadata of its cloud. No proxy is used.
package webhook
