{{- define "m365.labels" -}}
app.kubernetes.io/name: {{ . }}
app.kubernetes.io/part-of: m365-mcp-server
{{- end }}

{{- define "m365.common" -}}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- end }}

{{- /* Host of publicUrl, without a port: Ingress and HTTPRoute know none. */ -}}
{{- define "m365.host" -}}
{{- (urlParse .Values.publicUrl).host | splitList ":" | first -}}
{{- end }}

{{- /* Path of publicUrl, without a slash at its end; empty for a host of its own. */ -}}
{{- define "m365.path" -}}
{{- (urlParse .Values.publicUrl).path | trimSuffix "/" -}}
{{- end }}

{{- define "m365.image" -}}
{{- .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag }}{{ end }}
{{- end }}

{{- define "m365.ingressAnnotations" -}}
nginx.ingress.kubernetes.io/proxy-body-size: 16m
nginx.ingress.kubernetes.io/proxy-read-timeout: "90"
# Never add `non_idempotent`: a send whose answer was lost must not be repeated.
nginx.ingress.kubernetes.io/proxy-next-upstream: error timeout
nginx.ingress.kubernetes.io/ssl-redirect: "true"
nginx.ingress.kubernetes.io/force-ssl-redirect: "true"
{{- end }}

{{- /* Entra ID and Graph have no fixed addresses; the platform's own stay closed: instance metadata, Azure's virtual address. */ -}}
{{- define "m365.anywhere" -}}
ipBlock:
  cidr: {{ . }}
  {{- if eq . "0.0.0.0/0" }}
  except: [169.254.169.254/32, 168.63.129.16/32]
  {{- end }}
{{- end }}
