{{/* Values that an earlier chart did not have are absent with --reuse-values, so groups of them are
     read in brackets: (.Values.group).value is empty then. */}}

{{- define "chatmail-operator.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "chatmail-operator.namespace" -}}
{{- default .Release.Namespace .Values.namespaceOverride -}}
{{- end -}}

{{- define "chatmail-operator.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "chatmail-operator.labels" -}}
{{- $own := include "chatmail-operator.ownLabels" . | fromYaml -}}
{{- toYaml (mergeOverwrite (dict) (default dict .Values.commonLabels) $own) -}}
{{- end -}}

{{- define "chatmail-operator.ownLabels" -}}
{{ include "chatmail-operator.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* Name, namespace, labels and annotations of an object: (list . "-suffix" annotations). */}}
{{- define "chatmail-operator.metadata" -}}
{{- $root := index . 0 -}}
name: {{ include "chatmail-operator.fullname" $root }}{{ index . 1 }}
namespace: {{ include "chatmail-operator.namespace" $root }}
{{ include "chatmail-operator.marks" (list $root (index . 2)) }}
{{- end -}}

{{/* Labels and annotations alone: (list . annotations), or (list . annotations labels). */}}
{{- define "chatmail-operator.marks" -}}
{{- $root := index . 0 -}}
{{- $labels := include "chatmail-operator.labels" $root | fromYaml -}}
labels:
  {{- toYaml (mergeOverwrite $labels (default dict (index (append . dict) 2))) | nindent 2 }}
{{- with mergeOverwrite (dict) (default dict $root.Values.commonAnnotations) (default dict (index . 1)) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* How an endpoint of a PodMonitor is scraped: (list . relabelings). */}}
{{- define "chatmail-operator.scrape" -}}
{{- with (index . 0).Values.monitoring -}}
{{- with .interval }}
interval: {{ . }}
{{- end }}
{{- with .scrapeTimeout }}
scrapeTimeout: {{ . }}
{{- end }}
{{- with concat (index $ 1) (default list .relabelings) }}
relabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .metricRelabelings }}
metricRelabelings:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "chatmail-operator.serviceAccount" -}}
{{- if ne (toString (.Values.serviceAccount).create) "false" -}}
{{- default (include "chatmail-operator.fullname" .) (.Values.serviceAccount).name -}}
{{- else -}}
{{- default "default" (.Values.serviceAccount).name -}}
{{- end -}}
{{- end -}}

{{/* REGISTRY/REPOSITORY:TAG@DIGEST. The tag stays beside a digest: it tells the version. */}}
{{- define "chatmail-operator.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- with default $image.registry ($root.Values.global).imageRegistry }}{{ . }}/{{ end -}}
{{- $image.repository }}:{{ default $root.Chart.AppVersion $image.tag }}
{{- with $image.digest }}@{{ . }}{{ end -}}
{{- end -}}

{{/* JSON list of the watched namespaces */}}
{{- define "chatmail-operator.namespaces" -}}
{{- toJson (default (list (include "chatmail-operator.namespace" .)) (.Values.watch).namespaces) -}}
{{- end -}}

{{/* serverDefaults, with what relayImage says of pulling; serverDefaults go before it. JSON. */}}
{{- define "chatmail-operator.serverDefaults" -}}
{{- $image := dict -}}
{{- with .Values.relayImage.pullPolicy }}{{- $_ := set $image "pullPolicy" . }}{{ end -}}
{{- with concat (default list (.Values.global).imagePullSecrets) (default list .Values.relayImage.pullSecrets) -}}
{{- $_ := set $image "pullSecrets" (uniq .) -}}
{{- end -}}
{{- $defaults := dict -}}
{{- if $image }}{{- $_ := set $defaults "image" $image }}{{ end -}}
{{- toJson (mergeOverwrite $defaults (deepCopy (default dict .Values.serverDefaults))) -}}
{{- end -}}

{{/* what the operator is told, also when it ends */}}
{{- define "chatmail-operator.env" -}}
- name: RELAY_IMAGE
  value: {{ include "chatmail-operator.image" (list . .Values.relayImage) | quote }}
{{- with (.Values.relayImage).allowed }}
- name: ALLOWED_IMAGES
  value: {{ join "," . | quote }}
{{- end }}
{{- $defaults := include "chatmail-operator.serverDefaults" . }}
{{- if ne $defaults "{}" }}
- name: SERVER_DEFAULTS
  value: {{ $defaults | quote }}
{{- end }}
{{- with .Values.rollout }}
- name: ROLLOUT_PAUSED
  value: {{ .paused | quote }}
- name: ROLLOUT_GATE
  value: {{ .gate | quote }}
- name: ROLLOUT_CANARY_SOAK_SECONDS
  value: {{ int .canarySoakSeconds | quote }}
- name: ROLLOUT_MAX_UNAVAILABLE
  value: {{ .maxUnavailable | toString | quote }}
- name: ROLLOUT_SOAK_SECONDS
  value: {{ int .soakSeconds | quote }}
- name: ROLLOUT_MAX_FAILURES
  value: {{ int .maxFailures | quote }}
{{- end }}
- name: WATCH_NAMESPACES
  value: {{ if (.Values.watch).allNamespaces }}"*"{{ else }}{{ include "chatmail-operator.namespaces" . | fromJsonArray | join "," | quote }}{{ end }}
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
- name: POD_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: LEASE_NAME
  value: {{ include "chatmail-operator.fullname" . }}
- name: LOG_LEVEL
  value: {{ .Values.logLevel }}
- name: WORKERS
  value: {{ .Values.workers | quote }}
- name: HEALTH_PORT
  value: {{ default 8081 .Values.healthPort | quote }}
{{- end -}}

{{/* Variables beside those: one that both have would be set twice. */}}
{{- define "chatmail-operator.extraEnv" -}}
{{- $names := list "ALLOWED_IMAGES" "SERVER_DEFAULTS" -}}
{{- range include "chatmail-operator.env" . | fromYamlArray }}{{- $names = append $names .name }}{{ end -}}
{{- range .Values.extraEnv -}}
{{- if has .name $names }}{{- fail (printf "extraEnv: %s is set by other values of this chart: docs/reference/operator-configuration.md says by which" .name) }}{{ end -}}
{{- end -}}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end -}}
{{- end -}}

{{/* The pod of the operator, of its removal and of its test: (list . containerName args). What
     only one that goes on has (probes, ports) is in "running". */}}
{{- define "chatmail-operator.pod" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $args := index . 2 -}}
{{- with $root.Values -}}
serviceAccountName: {{ include "chatmail-operator.serviceAccount" $root }}
{{- if eq (toString (.serviceAccount).automountToken) "false" }}
automountServiceAccountToken: true
{{- end }}
enableServiceLinks: false
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- if .hostNetwork }}
hostNetwork: true
{{- end }}
{{- with .dnsPolicy }}
dnsPolicy: {{ . }}
{{- end }}
{{- range $field := list "dnsConfig" "hostAliases" "nodeSelector" "affinity" "tolerations" }}
{{- with index $root.Values $field }}
{{ $field }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
{{- $user := dict "runAsNonRoot" true "runAsUser" 65532 "runAsGroup" 65532 "seccompProfile" (dict "type" "RuntimeDefault") }}
{{- with default $user .podSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with concat (default list ($root.Values.global).imagePullSecrets) (default list .imagePullSecrets) }}
imagePullSecrets:
  {{- toYaml (uniq .) | nindent 2 }}
{{- end }}
{{- with .extraVolumes }}
volumes:
  {{- toYaml . | nindent 2 }}
{{- end }}
containers:
  - name: {{ $name }}
    image: {{ include "chatmail-operator.image" (list $root .image) | quote }}
    imagePullPolicy: {{ .image.pullPolicy }}
    {{- with $args }}
    args:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    env:
      {{- include "chatmail-operator.env" $root | nindent 6 }}
      {{- with include "chatmail-operator.extraEnv" $root | trim }}
      {{- . | nindent 6 }}
      {{- end }}
    {{- if not $args }}
    {{- include "chatmail-operator.running" $root | nindent 4 }}
    {{- end }}
    {{- with .resources }}
    resources:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- $rights := dict "allowPrivilegeEscalation" false "readOnlyRootFilesystem" true "capabilities" (dict "drop" (list "ALL")) }}
    {{- with default $rights .securityContext }}
    securityContext:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    {{- with .extraVolumeMounts }}
    volumeMounts:
      {{- toYaml . | nindent 6 }}
    {{- end }}
{{- end }}
{{- end -}}

{{- define "chatmail-operator.running" -}}
ports:
  - name: health
    containerPort: {{ default 8081 .Values.healthPort }}
    protocol: TCP
livenessProbe:
  httpGet:
    path: /healthz
    port: health
  {{- with default (dict "periodSeconds" 20) .Values.livenessProbe }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
readinessProbe:
  httpGet:
    path: /readyz
    port: health
  {{- with default (dict "periodSeconds" 5) .Values.readinessProbe }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}
