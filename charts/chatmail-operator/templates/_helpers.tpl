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

{{- define "chatmail-operator.selector" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "chatmail-operator.labels" -}}
{{ include "chatmail-operator.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "chatmail-operator.serviceAccount" -}}
{{- default (include "chatmail-operator.fullname" .) .Values.serviceAccount.name -}}
{{- end -}}

{{- define "chatmail-operator.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- printf "%s:%s" $image.repository (default $root.Chart.AppVersion $image.tag) -}}
{{- end -}}

{{/* JSON list of the watched namespaces */}}
{{- define "chatmail-operator.namespaces" -}}
{{- toJson (default (list .Release.Namespace) .Values.watch.namespaces) -}}
{{- end -}}

{{/* what the operator is told, also when it ends */}}
{{- define "chatmail-operator.env" -}}
- name: RELAY_IMAGE
  value: {{ include "chatmail-operator.image" (list . .Values.relayImage) | quote }}
{{- with .Values.relayImage.allowed }}
- name: ALLOWED_IMAGES
  value: {{ join "," . | quote }}
{{- end }}
{{- with .Values.serverDefaults }}
- name: SERVER_DEFAULTS
  value: {{ toJson . | quote }}
{{- end }}
- name: ROLLOUT_PAUSED
  value: {{ .Values.rollout.paused | quote }}
- name: ROLLOUT_GATE
  value: {{ .Values.rollout.gate | quote }}
- name: ROLLOUT_CANARY_SOAK_SECONDS
  value: {{ int .Values.rollout.canarySoakSeconds | quote }}
- name: ROLLOUT_MAX_UNAVAILABLE
  value: {{ .Values.rollout.maxUnavailable | toString | quote }}
- name: ROLLOUT_SOAK_SECONDS
  value: {{ int .Values.rollout.soakSeconds | quote }}
- name: ROLLOUT_MAX_FAILURES
  value: {{ int .Values.rollout.maxFailures | quote }}
- name: WATCH_NAMESPACES
  value: {{ if .Values.watch.allNamespaces }}"*"{{ else }}{{ include "chatmail-operator.namespaces" . | fromJsonArray | join "," | quote }}{{ end }}
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
{{- end -}}

{{- define "chatmail-operator.placement" -}}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
