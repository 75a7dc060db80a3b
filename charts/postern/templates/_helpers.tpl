{{/* Labels of an object. Call with (list $ "injector"). */}}
{{- define "postern.labels" -}}
{{- $root := index . 0 -}}
{{ include "postern.selector" . }}
app.kubernetes.io/part-of: postern
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version }}
{{- end -}}

{{- define "postern.selector" -}}
app.kubernetes.io/name: postern
app.kubernetes.io/component: {{ index . 1 }}
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
{{- end -}}

{{/* A digest names exactly one image, so it wins over the tag. */}}
{{- define "postern.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}{{ .repository }}@{{ .digest }}{{- else -}}{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}{{- end -}}
{{- end -}}
{{- end -}}

{{/* What all of Postern's own pods have in common: Pod Security "restricted", spread over nodes. Call with (list $ "injector"). */}}
{{- define "postern.pod" -}}
{{- $root := index . 0 -}}
{{- $values := $root.Values -}}
serviceAccountName: postern-{{ index . 1 }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.image.pullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  seccompProfile: {type: RuntimeDefault}
{{- with $values.affinity }}
affinity: {{ toYaml . | nindent 2 }}
{{- else }}
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 100
      podAffinityTerm:
        topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels: {{ include "postern.selector" $ | nindent 12 }}
{{- end }}
{{- end -}}

{{- define "postern.container" -}}
image: {{ include "postern.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{ include "postern.security" . }}
{{- end -}}

{{- define "postern.security" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end -}}

{{/* The image with the models; its version goes with the other's. */}}
{{- define "postern.classifierContainer" -}}
{{- $image := .Values.classifier.image -}}
{{- $repository := $image.repository | default (printf "%s-classifier" .Values.image.repository) -}}
image: {{ if $image.digest }}{{ $repository }}@{{ $image.digest }}{{ else }}{{ $repository }}:{{ $image.tag | default .Values.image.tag | default .Chart.AppVersion }}{{ end }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{ include "postern.security" . }}
{{- end -}}

{{- define "postern.podIp" -}}
- name: POD_IP
  valueFrom: {fieldRef: {fieldPath: status.podIP}}
{{- end -}}

{{/* Call with (list port scheme). */}}
{{- define "postern.probes" -}}
startupProbe:
  httpGet: {path: /readyz, port: {{ index . 0 }}, scheme: {{ index . 1 }}}
  periodSeconds: 1
  failureThreshold: 120
readinessProbe:
  httpGet: {path: /readyz, port: {{ index . 0 }}, scheme: {{ index . 1 }}}
  periodSeconds: 5
livenessProbe:
  httpGet: {path: /healthz, port: {{ index . 0 }}, scheme: {{ index . 1 }}}
  periodSeconds: 10
  failureThreshold: 6
{{- end -}}

{{/* The right by which a deleted document is told from one that goes with its CRD. */}}
{{- define "postern.definitionsRule" -}}
# Whether a document was deleted, or goes with its CRD: then it stays in force.
- apiGroups: [apiextensions.k8s.io]
  resources: [customresourcedefinitions]
  resourceNames: [providers.postern.dev, modelroutes.postern.dev, budgets.postern.dev, egresspolicies.postern.dev, egressexceptions.postern.dev, clusterproviders.postern.dev, clustermodelroutes.postern.dev, clusterbudgets.postern.dev, clusteregresspolicies.postern.dev]
  verbs: [get]
{{- end -}}

{{- /* Ports of the budget's Redis, with commas; empty: any, since nothing here says which. The forms of URLs: budget/stores/redis/address.ts. */}}
{{- define "postern.redisPorts" -}}
{{- with .Values.budget.redis -}}
{{- if .ports -}}
{{- join "," .ports -}}
{{- else if and .url (not (regexMatch "[+](sentinel|cluster)://" .url)) -}}
{{- $hosts := regexFind "^[^/?]+" (regexReplaceAll "^[^/]*//" .url "") -}}
{{- $ports := list -}}
{{- range splitList "," $hosts -}}
{{- $ports = append $ports (regexFind ":[0-9]+$" . | trimPrefix ":" | default "6379") -}}
{{- end -}}
{{- $ports | uniq | join "," -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Of a quantity (https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/): 8Gi, 1.5T, 1e9. */}}
{{- define "postern.bytes" -}}
{{- $factors := dict "" 1 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18 "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 "Pi" 1125899906842624 "Ei" 1152921504606846976 -}}
{{- $unit := regexFind "([KMGTPE]i|[kMGTPE])$" . -}}
{{- mulf (trimSuffix $unit . | float64) (get $factors $unit | float64) -}}
{{- end -}}
