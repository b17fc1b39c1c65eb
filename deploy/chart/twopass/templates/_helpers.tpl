{{- define "twopass.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* At most 52 characters: a StatefulSet's pods have a label of its name and 11 more, a Service of it and "-headless",
and neither takes more than 63. */}}
{{- define "twopass.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" }}
{{- else if contains (include "twopass.name" .) .Release.Name }}
{{- .Release.Name | trunc 52 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "twopass.name" .) | trunc 52 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "twopass.selectorLabels" -}}
app.kubernetes.io/name: {{ include "twopass.name" . }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{/* Of the pod of `helm test`, which is none of the server's. */}}
{{- define "twopass.testLabels" -}}
app.kubernetes.io/name: {{ include "twopass.name" . | trunc 58 }}-test
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "twopass.labels" -}}
{{ include "twopass.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 }}
{{- end }}

{{- define "twopass.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "twopass.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- default "default" .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "twopass.image" -}}
{{- $variant := ternary "-cuda" "" .Values.gpu.enabled }}
{{- if .Values.image.digest }}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else }}
{{- printf "%s:%s" .Values.image.repository (default (printf "%s%s" .Chart.AppVersion $variant) .Values.image.tag) }}
{{- end }}
{{- end }}

{{- define "twopass.keysSecret" -}}
{{- if .Values.keys.existingSecret }}
{{- .Values.keys.existingSecret }}
{{- else if .Values.keys.file }}
{{- printf "%s-keys" (include "twopass.fullname" .) }}
{{- end }}
{{- end }}

{{/* The container's variables: settings of the server, lists as JSON. */}}
{{- define "twopass.env" -}}
{{- $settings := default dict .Values.settings }}
- name: TWOPASS_LOG_FORMAT
  value: {{ $settings.log_format | default "json" | quote }}
- name: TWOPASS_DRAIN_SECONDS
  value: {{ .Values.drainSeconds | quote }}
{{- if .Values.tls.existingSecret }}
- name: TWOPASS_INSECURE
  value: "false"
- name: TWOPASS_TLS_CERTIFICATE
  value: /etc/twopass/tls/tls.crt
- name: TWOPASS_TLS_KEY
  value: /etc/twopass/tls/tls.key
{{- end }}
{{- if .Values.tls.clientCaSecret }}
- name: TWOPASS_TLS_CLIENT_CA
  value: /etc/twopass/client-ca/ca.crt
{{- end }}
{{- if include "twopass.keysSecret" . }}
- name: TWOPASS_KEYS
  value: /etc/twopass/keys/keys.toml
{{- end }}
{{- if and .Values.ingress.enabled .Values.ingress.tlsSecret (not (hasKey $settings "http_cors_origins")) }}
# Pages come by https to the ingress and by http from there: their origin is not the server's own.
- name: TWOPASS_HTTP_CORS_ORIGINS
  {{- $origins := list }}
  {{- range .Values.ingress.hosts }}
  {{- $origins = append $origins (printf "https://%s" .) }}
  {{- end }}
  value: {{ toJson $origins | quote }}
{{- end }}
{{- range $name, $value := omit $settings "log_format" }}
- name: TWOPASS_{{ upper $name }}
  value: {{ if kindIs "slice" $value }}{{ toJson $value | quote }}{{ else if kindIs "float64" $value }}{{ if eq (floor $value) $value }}{{ printf "%.0f" $value | quote }}{{ else }}{{ $value | quote }}{{ end }}{{ else }}{{ $value | quote }}{{ end }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Whether it computes models alone, and so answers nothing over HTTP but health and metrics. */}}
{{- define "twopass.computesAlone" -}}
{{- if eq (toString (default dict .Values.settings).role) "engine" }}true{{ end }}
{{- end }}

{{/* Whether the ports of clients tell health to those alone who have a certificate or a key. */}}
{{- define "twopass.closedHealth" -}}
{{- if or .Values.tls.clientCaSecret (eq (toString (default dict .Values.settings).open_health) "false") }}true{{ end }}
{{- end }}

{{/* Whether it is well. gRPC's own probe speaks no TLS: with TLS, HTTPS is asked. No probe shows a certificate or a
key: where one is needed, the port of the metrics is asked, as where nothing is answered over HTTP. */}}
{{- define "twopass.health" -}}
{{- if or (include "twopass.closedHealth" .) (and .Values.tls.existingSecret (include "twopass.computesAlone" .)) }}
httpGet:
  path: /health
  port: metrics
{{- else if .Values.tls.existingSecret }}
httpGet:
  path: /health
  port: http
  scheme: HTTPS
{{- else }}
grpc:
  port: 50051
{{- end }}
{{- end }}

{{/* Whether it answers at all: a server whose engine restarts is alive, and repairs itself. */}}
{{- define "twopass.liveness" -}}
{{- if or (include "twopass.closedHealth" .) (include "twopass.computesAlone" .) }}
httpGet:
  path: /health
  port: metrics
# Health, which no certificate is asked for, tells of engines, too: they get five minutes to restart.
failureThreshold: 30
{{- else }}
httpGet:
  path: /v1/health/live
  port: http
  {{- if .Values.tls.existingSecret }}
  scheme: HTTPS
  {{- end }}
failureThreshold: 3
{{- end }}
{{- end }}
