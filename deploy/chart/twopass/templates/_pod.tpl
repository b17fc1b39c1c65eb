{{/* The pod of the StatefulSet and of the Deployment. It keeps to the Pod Security Standard "restricted". */}}
{{- define "twopass.pod" -}}
metadata:
  labels:
    {{- include "twopass.selectorLabels" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "twopass.serviceAccountName" . | quote }}
  automountServiceAccountToken: false
  # Variables such as TWOPASS_PORT would be taken for settings.
  enableServiceLinks: false
  {{- with .Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . | quote }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 10001
    runAsGroup: 10001
    fsGroup: 10001
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile:
      type: RuntimeDefault
  # New calls still come for a moment, clients that balance are told, calls under way end, and ten seconds to close.
  {{- $notice := default 1 (default dict .Values.settings).drain_notice_seconds }}
  terminationGracePeriodSeconds: {{ add .Values.preStopSeconds (ceil $notice) .Values.drainSeconds 10 }}
  containers:
    - name: twopass
      image: {{ include "twopass.image" . | quote }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities:
          drop:
            - ALL
      env:
        {{- include "twopass.env" . | nindent 8 }}
      ports:
        - name: grpc
          containerPort: 50051
        - name: http
          containerPort: 8080
        - name: metrics
          containerPort: 9090
      startupProbe:
        {{- include "twopass.health" . | nindent 8 }}
        periodSeconds: 2
        timeoutSeconds: 3
        failureThreshold: {{ div (add .Values.startupSeconds 1) 2 }}
      readinessProbe:
        {{- include "twopass.health" . | nindent 8 }}
        periodSeconds: 5
        timeoutSeconds: 3
        failureThreshold: 2
      livenessProbe:
        {{- include "twopass.liveness" . | nindent 8 }}
        periodSeconds: 10
        timeoutSeconds: 5
      lifecycle:
        preStop:
          exec:
            command:
              - sleep
              - {{ .Values.preStopSeconds | quote }}
      resources:
        {{- $resources := deepCopy (default dict .Values.resources) }}
        {{- if .Values.gpu.enabled }}
        {{- $resources = merge (dict "limits" (dict .Values.gpu.resource .Values.gpu.count)) $resources }}
        {{- end }}
        {{- toYaml $resources | nindent 8 }}
      volumeMounts:
        - name: data
          mountPath: /data
        - name: tmp
          mountPath: /tmp
        {{- if include "twopass.keysSecret" . }}
        - name: keys
          mountPath: /etc/twopass/keys
          readOnly: true
        {{- end }}
        {{- if .Values.tls.existingSecret }}
        - name: tls
          mountPath: /etc/twopass/tls
          readOnly: true
        {{- end }}
        {{- if .Values.tls.clientCaSecret }}
        - name: client-ca
          mountPath: /etc/twopass/client-ca
          readOnly: true
        {{- end }}
        {{- with .Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - name: tmp
      emptyDir: {}
    {{- if or .Values.stateless (not .Values.persistence.enabled) }}
    - name: data
      emptyDir: {}
    {{- else if .Values.persistence.existingClaim }}
    - name: data
      persistentVolumeClaim:
        claimName: {{ .Values.persistence.existingClaim | quote }}
    {{- end }}
    {{- with include "twopass.keysSecret" . }}
    - name: keys
      secret:
        secretName: {{ . | quote }}
        defaultMode: 0440
        items:
          - key: keys.toml
            path: keys.toml
    {{- end }}
    {{- with .Values.tls.existingSecret }}
    - name: tls
      secret:
        secretName: {{ . | quote }}
        defaultMode: 0440
    {{- end }}
    {{- with .Values.tls.clientCaSecret }}
    - name: client-ca
      secret:
        secretName: {{ . | quote }}
        defaultMode: 0440
    {{- end }}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if or .Values.gpu.enabled .Values.tolerations }}
  tolerations:
    {{- if .Values.gpu.enabled }}
    - key: {{ .Values.gpu.resource }}
      operator: Exists
      effect: NoSchedule
    {{- end }}
    {{- with .Values.tolerations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
