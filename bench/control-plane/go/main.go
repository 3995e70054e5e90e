// The yardstick of `npm run bench -- control-plane`: what a Go operator with controller-runtime, written the usual way, does with the
// same ChatmailServers. It watches the same kinds with the same label, makes the same children from the same texts (template.json, which
// the bench renders with our own operator's code), asks the same questions (is there an object of that name that is not ours?), compares
// before it applies, and applies a status of the same size.
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"flag"
	"fmt"
	"math/big"
	"os"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

const (
	serverLabel = "chatmail.dev/server"
	manager     = "bench-go"
)

var serverKind = schema.GroupVersionKind{Group: "chatmail.dev", Version: "v1alpha1", Kind: "ChatmailServer"}

// What the bench wrote: children of a server called NAME in namespace NAMESPACE with uid UID and domain DOMAIN, and one status.
type template struct {
	Children []string        `json:"children"`
	Status   json.RawMessage `json:"status"`
}

type reconciler struct {
	client.Client
	direct   client.Reader
	template template
}

func main() {
	host := flag.String("server", "", "URL of the API server")
	ca := flag.String("ca", "", "file with its certificate authority")
	token := flag.String("token", "", "file with our token")
	from := flag.String("template", "", "file with the children's texts")
	metrics := flag.String("metrics", "127.0.0.1:0", "where /metrics is served")
	workers := flag.Int("workers", 4, "servers that are worked on at the same time")
	flag.Parse()
	ctrl.SetLogger(zap.New(zap.UseDevMode(false)))
	must(run(*host, *ca, *token, *from, *metrics, *workers))
}

func run(host, ca, token, from, metrics string, workers int) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	var t template
	if err := json.Unmarshal(text, &t); err != nil {
		return err
	}
	// No throttle of the client's own: the API server's priority and fairness decides, as for ours.
	config := &rest.Config{Host: host, BearerTokenFile: token, TLSClientConfig: rest.TLSClientConfig{CAFile: ca}, QPS: -1}
	ours, err := labels.Parse(serverLabel)
	if err != nil {
		return err
	}
	children := []client.Object{&corev1.ConfigMap{}, &corev1.Secret{}, &corev1.PersistentVolumeClaim{}, &corev1.Service{},
		&appsv1.StatefulSet{}, &corev1.Pod{}, &batchv1.CronJob{}, &batchv1.Job{}, &networkingv1.NetworkPolicy{}}
	byObject := map[client.Object]cache.ByObject{}
	for _, child := range children {
		byObject[child] = cache.ByObject{Label: ours}
	}
	m, err := ctrl.NewManager(config, ctrl.Options{
		Metrics: server.Options{BindAddress: metrics},
		Cache:   cache.Options{ByObject: byObject, DefaultTransform: cache.TransformStripManagedFields()},
		Client:  client.Options{Cache: &client.CacheOptions{Unstructured: true}},
	})
	if err != nil {
		return err
	}
	r := &reconciler{Client: m.GetClient(), direct: m.GetAPIReader(), template: t}
	chatmailServer := &unstructured.Unstructured{}
	chatmailServer.SetGroupVersionKind(serverKind)
	b := ctrl.NewControllerManagedBy(m).
		For(chatmailServer, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers})
	toServer := handler.EnqueueRequestsFromMapFunc(func(_ context.Context, o client.Object) []reconcile.Request {
		name := o.GetLabels()[serverLabel]
		if name == "" {
			return nil
		}
		return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: o.GetNamespace(), Name: name}}}
	})
	for _, child := range children {
		b = b.Watches(child, toServer)
	}
	if err := b.Named("chatmailserver").Complete(r); err != nil {
		return err
	}
	return m.Start(ctrl.SetupSignalHandler())
}

func (r *reconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	server := &unstructured.Unstructured{}
	server.SetGroupVersionKind(serverKind)
	if err := r.Get(ctx, request.NamespacedName, server); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	domain, _, _ := unstructured.NestedString(server.Object, "spec", "domain")
	edited, _, _ := unstructured.NestedString(server.Object, "spec", "messages", "maxSize")
	fill := strings.NewReplacer("@NAME@", server.GetName(), "@NAMESPACE@", server.GetNamespace(), "@UID@", string(server.GetUID()),
		"@DOMAIN@", domain, "@EDITED@", edited)

	for _, text := range r.template.Children {
		wanted := &unstructured.Unstructured{}
		if err := json.Unmarshal([]byte(fill.Replace(text)), &wanted.Object); err != nil {
			return reconcile.Result{}, err
		}
		if err := r.applyChild(ctx, wanted, domain); err != nil {
			return reconcile.Result{}, err
		}
	}

	status := map[string]any{}
	if err := json.Unmarshal([]byte(fill.Replace(string(r.template.Status))), &status); err != nil {
		return reconcile.Result{}, err
	}
	status["observedGeneration"] = server.GetGeneration()
	seen, _, _ := unstructured.NestedMap(server.Object, "status")
	if equality.Semantic.DeepEqual(seen["observedGeneration"], status["observedGeneration"]) {
		return reconcile.Result{}, nil
	}
	wanted := &unstructured.Unstructured{Object: map[string]any{"status": status}}
	wanted.SetGroupVersionKind(serverKind)
	wanted.SetName(server.GetName())
	wanted.SetNamespace(server.GetNamespace())
	return reconcile.Result{}, client.IgnoreNotFound(
		r.Status().Apply(ctx, client.ApplyConfigurationFromUnstructured(wanted), client.FieldOwner(manager), client.ForceOwnership))
}

func (r *reconciler) applyChild(ctx context.Context, wanted *unstructured.Unstructured, domain string) error {
	key := client.ObjectKeyFromObject(wanted)
	live, err := r.typed(wanted.GetKind())
	if err != nil {
		return err
	}
	err = r.Get(ctx, key, live)
	if apierrors.IsNotFound(err) {
		err = client.IgnoreNotFound(r.direct.Get(ctx, key, live))
	}
	if err != nil {
		return err
	}
	known := live.GetUID() != ""
	if known && live.GetLabels()[serverLabel] != wanted.GetLabels()[serverLabel] {
		return fmt.Errorf("%s exists and is not ours", key)
	}
	if wanted.GetKind() == "Secret" {
		if known {
			return nil // keys are made once
		}
		data, err := newKey(wanted, domain)
		if err != nil {
			return err
		}
		wanted.Object["data"] = data
	}
	if known {
		same, err := sameAs(wanted, live)
		if err != nil || same {
			return err
		}
	}
	return r.Apply(ctx, client.ApplyConfigurationFromUnstructured(wanted), client.FieldOwner(manager), client.ForceOwnership)
}

// Every field that we set has its value in the live object; what the server filled in beside them is left alone.
func sameAs(wanted *unstructured.Unstructured, live client.Object) (bool, error) {
	text, err := wanted.MarshalJSON()
	if err != nil {
		return false, err
	}
	typed := live.DeepCopyObject().(client.Object)
	empty(typed)
	if err := json.Unmarshal(text, typed); err != nil {
		return false, err
	}
	typed.GetObjectKind().SetGroupVersionKind(live.GetObjectKind().GroupVersionKind())
	// A time or a number that is not set counts as another one.
	typed.SetCreationTimestamp(live.GetCreationTimestamp())
	typed.SetGeneration(live.GetGeneration())
	return equality.Semantic.DeepDerivative(typed, live), nil
}

func empty(object client.Object) {
	switch o := object.(type) {
	case *corev1.ConfigMap:
		*o = corev1.ConfigMap{}
	case *corev1.Secret:
		*o = corev1.Secret{}
	case *corev1.PersistentVolumeClaim:
		*o = corev1.PersistentVolumeClaim{}
	case *corev1.Service:
		*o = corev1.Service{}
	case *appsv1.StatefulSet:
		*o = appsv1.StatefulSet{}
	case *batchv1.CronJob:
		*o = batchv1.CronJob{}
	case *networkingv1.NetworkPolicy:
		*o = networkingv1.NetworkPolicy{}
	}
}

func (r *reconciler) typed(kind string) (client.Object, error) {
	switch kind {
	case "ConfigMap":
		return &corev1.ConfigMap{}, nil
	case "Secret":
		return &corev1.Secret{}, nil
	case "PersistentVolumeClaim":
		return &corev1.PersistentVolumeClaim{}, nil
	case "Service":
		return &corev1.Service{}, nil
	case "StatefulSet":
		return &appsv1.StatefulSet{}, nil
	case "CronJob":
		return &batchv1.CronJob{}, nil
	case "NetworkPolicy":
		return &networkingv1.NetworkPolicy{}, nil
	}
	return nil, fmt.Errorf("no child is a %s", kind)
}

// The Secret with rsa.pem gets a key for signing mail, the other one a certificate for the domain.
func newKey(secret *unstructured.Unstructured, domain string) (map[string]any, error) {
	text := func(kind string, bytes []byte) any {
		return base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes}))
	}
	if _, found, _ := unstructured.NestedString(secret.Object, "data", "rsa.pem"); found {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, err
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		return map[string]any{"rsa.pem": text("PRIVATE KEY", der)}, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	draft := &x509.Certificate{SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: domain},
		DNSNames: []string{domain}, NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(10, 0, 0)}
	certificate, err := x509.CreateCertificate(rand.Reader, draft, draft, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return map[string]any{"tls.crt": text("CERTIFICATE", certificate), "tls.key": text("PRIVATE KEY", der)}, err
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
