#!/usr/bin/env bash
# Creates the app registration in Entra ID that the M365 MCP Server signs in with, or brings an existing one up to date.
set -euo pipefail

usage() {
  cat <<'HELP'
Usage: register-app.sh --base-url URL (--env-file FILE | --show-secret | --federated ISSUER SUBJECT) [options]

Creates the app registration for the M365 MCP Server with the Azure CLI (az), or brings the one of that name up to
date: one tenant, the exposed scope, version 2 tokens, the redirect URI, the Graph permissions that the server asks for,
and admin consent. What an existing registration has beyond that stays as it is. Sign in first: az login

The settings for the server go to standard output, everything else to standard error.

  --base-url URL        Public URL of the server; the redirect URI is this followed by /auth/callback

How the server proves who it is, one of:
  --env-file FILE       Make a client secret and write it with the other settings to FILE, readable by you only;
                        the standard output leaves it out
  --show-secret         Make a client secret and print it with the other settings
  --federated ISSUER SUBJECT
                        No secret: trust the tokens of a Kubernetes cluster, for example of AKS:
                        ISSUER  az aks show -n NAME -g GROUP --query oidcIssuerProfile.issuerUrl -o tsv
                        SUBJECT system:serviceaccount:mcp:mcp-server

What the server may do, which decides the Graph permissions (default: Mail.Send and User.Read):
  --toolsets LIST       As M365_TOOLSETS, comma separated: drafts, attachments, replies, schedule, people
  --send-level LEVEL    As M365_SEND_LEVEL: send (default), draft (without Mail.Send) or off (only what reads)
  --send-mode MODE      As M365_SEND_MODE: direct (default) or draft
  --send-from           As M365_SEND_FROM=true: also from shared mailboxes
  --policy-groups       The file in M365_POLICY_FILE names groups

Options:
  --name NAME           Display name of the registration (default: M365 MCP Server)
  --scope NAME          Name of the exposed scope (default: mcp-access)
  --secret-years N      How long a new client secret is valid, 1 or 2 (default: 1)
  --no-admin-consent    Leave the consent to an administrator; the command for that is printed
  --help                Show this

Examples:
  register-app.sh --base-url http://localhost:8000 --env-file .env
  register-app.sh --base-url http://localhost:8000 --env-file .env --toolsets drafts,replies --send-level draft
  register-app.sh --base-url https://mcp.example.com/mcp-o365 \
    --federated https://oidc.example.com/cluster/ system:serviceaccount:mcp:mcp-server

Each run with --env-file or --show-secret makes a further client secret, and the older ones stay valid until they end;
so the same command rotates the secret.
HELP
}

# Well-known ids, the same in every tenant: Microsoft Graph and its delegated permissions.
# https://learn.microsoft.com/graph/permissions-reference
readonly GRAPH_APP=00000003-0000-0000-c000-000000000000
permission_id() { # NAME
  case $1 in
    GroupMember.Read.All) echo bc024368-1153-4739-b217-4326f2e966d0 ;;
    Mail.Read) echo 570282fd-fa5c-430d-a7fd-fc8dc98a9dca ;;
    Mail.ReadWrite) echo 024d486e-b451-40bb-833d-3e66d98c5c73 ;;
    Mail.Send) echo e383f46e-2787-4529-855e-0e479a3ffac0 ;;
    Mail.Send.Shared) echo a367ab51-6b49-43bf-a716-a1fb06d2a174 ;;
    People.Read) echo ba47897c-39ec-4d83-8086-ee8256fa737d ;;
    User.Read) echo e1fe6dd8-ba31-4d61-89e7-88639da4683d ;;
    User.ReadBasic.All) echo b340eb25-3456-403f-be2f-af7a0d370277 ;;
  esac
}

name="M365 MCP Server"
scope=mcp-access
base_url=""
env_file=""
show_secret=no
issuer=""
subject=""
secret_years=1
consent=yes
toolsets=""
send_level=send
send_mode=direct
send_from=no
policy_groups=no
wanted="" # names of Graph permissions, each followed by a blank

main() {
  read_arguments "$@"
  check_arguments
  choose_permissions
  find_or_create_app
  bring_up_to_date
  ensure_service_principal
  grant_consent
  if [ -n "$issuer" ]; then
    trust_cluster
    print_settings
  else
    create_secret
  fi
}

say() { printf '%s\n' "$*" >&2; }

refuse() { # wrong usage
  say "register-app.sh: $*"
  exit 2
}

fail() { # something in Azure
  say "register-app.sh: $*"
  exit 1
}

read_arguments() {
  while [ $# -gt 0 ]; do
    case $1 in
      --help | -h)
        usage
        exit 0
        ;;
      --show-secret) show_secret=yes ;;
      --no-admin-consent) consent=no ;;
      --send-from) send_from=yes ;;
      --policy-groups) policy_groups=yes ;;
      --federated)
        [ $# -ge 3 ] || refuse "--federated needs an issuer and a subject."
        issuer=$2 subject=$3
        shift 2
        ;;
      --base-url | --env-file | --name | --scope | --secret-years | --toolsets | --send-level | --send-mode)
        [ $# -ge 2 ] && [ -n "$2" ] || refuse "$1 needs a value."
        set_option "$1" "$2"
        shift
        ;;
      *) refuse "$1 is not known; see --help." ;;
    esac
    shift
  done
}

set_option() {
  case $1 in
    --base-url) base_url=${2%/} ;;
    --env-file) env_file=$2 ;;
    --name) name=$2 ;;
    --scope) scope=$2 ;;
    --secret-years) secret_years=$2 ;;
    --toolsets) toolsets=$(printf '%s' "$2" | tr '[:upper:]' '[:lower:]' | tr -d ' ') ;;
    --send-level) send_level=$2 ;;
    --send-mode) send_mode=$2 ;;
  esac
}

# What is checked here goes into JSON and queries below, where a quote or a backslash would do harm.
check_arguments() {
  [ -n "$base_url" ] || refuse "--base-url is missing; it is the public URL of the server."
  matches "$base_url" '^(https://[A-Za-z0-9.-]+|http://(localhost|127\.0\.0\.1))(:[0-9]+)?(/[A-Za-z0-9._~/-]*)?$' ||
    refuse "--base-url must begin with https:// (http:// only for localhost) and have no query, as https://mcp.example.com."
  matches "$name" '^[A-Za-z0-9 ._()-]+$' || refuse "--name may have letters, digits, spaces and . _ ( ) - only."
  matches "$scope" '^[A-Za-z0-9._-]+$' || refuse "--scope may have letters, digits and . _ - only."
  matches "$secret_years" '^[12]$' || refuse "--secret-years must be 1 or 2."
  local toolset='(drafts|attachments|replies|schedule|people)'
  matches "$toolsets" "^($toolset(,$toolset)*)?\$" ||
    refuse "--toolsets may name drafts, attachments, replies, schedule and people, comma separated."
  matches "$send_level" '^(send|draft|off)$' || refuse "--send-level must be send, draft or off."
  matches "$send_mode" '^(direct|draft)$' || refuse "--send-mode must be direct or draft."
  local ways=0
  [ -z "$env_file" ] || ways=$((ways + 1))
  [ "$show_secret" = no ] || ways=$((ways + 1))
  [ -z "$issuer$subject" ] || ways=$((ways + 1))
  [ "$ways" = 1 ] || refuse "choose one of --env-file FILE, --show-secret and --federated ISSUER SUBJECT."
  if [ -n "$issuer$subject" ]; then
    matches "$issuer" '^https://[A-Za-z0-9.:_~/-]+$' || refuse "the issuer of --federated must begin with https://."
    matches "$subject" '^system:serviceaccount:[a-z0-9-]+:[a-z0-9.-]+$' ||
      refuse "the subject of --federated must look like system:serviceaccount:NAMESPACE:NAME."
  fi
  if [ -n "$env_file" ]; then
    [ ! -e "$env_file" ] || refuse "$env_file exists and is not overwritten; name another file."
    [ -d "$(dirname "$env_file")" ] && [ -w "$(dirname "$env_file")" ] || refuse "$env_file cannot be written."
  fi
  command -v az >/dev/null || fail "the Azure CLI (az) is not installed; see https://aka.ms/azure-cli."
}

matches() { [[ $1 =~ $2 ]]; }

want() { # NAME…
  local name
  for name in "$@"; do
    case " $wanted" in
      *" $name "*) ;;
      *) wanted="$wanted$name " ;;
    esac
  done
}

# The same as the server asks for with these settings (src/m365_mcp/settings/permissions.py); a test compares them.
choose_permissions() {
  [ "$send_level" != send ] || want Mail.Send
  want User.Read
  local toolset
  for toolset in ${toolsets//,/ }; do
    case $toolset:$send_level in
      people:*) want People.Read User.ReadBasic.All ;;
      replies:off | schedule:off) want Mail.Read ;;
      *:off) ;; # nothing of it is offered
      *) want Mail.ReadWrite ;;
    esac
  done
  if [ "$send_level" = send ]; then
    [ "$send_mode" = direct ] || want Mail.ReadWrite
    [ "$send_from" = no ] || want Mail.Send.Shared
  fi
  [ "$policy_groups" = no ] || want GroupMember.Read.All
}

find_or_create_app() {
  tenant_id=$(az account show --query tenantId -o tsv --only-show-errors) || fail "az is not signed in; run: az login"
  graph=$(az cloud show --query endpoints.microsoftGraphResourceId -o tsv --only-show-errors)
  graph=${graph%/}
  local found
  found=$(az ad app list --filter "displayName eq '$name'" --query "[].appId" -o tsv --only-show-errors)
  case $(printf '%s' "$found" | grep -c .) in
    0)
      say "Creating the app registration \"$name\""
      client_id=$(az ad app create --display-name "$name" --sign-in-audience AzureADMyOrg \
        --query appId -o tsv --only-show-errors)
      ;;
    1)
      say "Bringing the app registration \"$name\" up to date"
      client_id=$found
      ;;
    *) fail "several app registrations are named \"$name\"; choose another name with --name." ;;
  esac
}

show_app() { az ad app show --id "$client_id" --query "$1" -o "$2" --only-show-errors; }

# One PATCH with the whole of every list, since Graph replaces lists; what stood there before is kept. Every read is an
# assignment of its own, so that one that fails ends the script before anything is written.
bring_up_to_date() {
  local object_id uris redirects scopes scope_id apis permissions others="" entries="" name
  wait_for_app
  object_id=$(show_app id tsv)
  uris=$(show_app "identifierUris[?@ != 'api://$client_id']" json)
  redirects=$(show_app "web.redirectUris[?@ != '$base_url/auth/callback']" json)
  scopes=$(show_app "api.oauth2PermissionScopes[?value != '$scope' || isEnabled]" json)
  scope_id=$(show_app "api.oauth2PermissionScopes[?value == '$scope'].[id, isEnabled] | [0]" tsv)
  apis=$(show_app "requiredResourceAccess[?resourceAppId != '$GRAPH_APP']" json)
  for name in $wanted; do
    others="$others${others:+ && }id != '$(permission_id "$name")'"
    entries="$entries${entries:+,}$(permission "$name")"
  done
  permissions=$(show_app "requiredResourceAccess[?resourceAppId == '$GRAPH_APP'].resourceAccess[] | [?$others]" json)

  case $scope_id in
    *[Tt]rue) scopes=$(with_entry "$scopes" "") ;; # exposed already
    *) scopes=$(with_entry "$scopes" "$(scope_entry "${scope_id%%[[:space:]]*}")") ;;
  esac
  permissions=$(with_entry "$permissions" "$entries")
  az rest --method PATCH --uri "$graph/v1.0/applications/$object_id" --headers Content-Type=application/json \
    --output none --only-show-errors --body '{
      "signInAudience": "AzureADMyOrg",
      "identifierUris": '"$(with_entry "$uris" "\"api://$client_id\"")"',
      "web": {"redirectUris": '"$(with_entry "$redirects" "\"$base_url/auth/callback\"")"'},
      "api": {"requestedAccessTokenVersion": 2, "oauth2PermissionScopes": '"$scopes"'},
      "requiredResourceAccess": '"$(with_entry "$apis" \
      "{\"resourceAppId\": \"$GRAPH_APP\", \"resourceAccess\": $permissions}")"'}'
}

# A new object takes some seconds until every replica of the directory knows it.
wait_for_app() { try_again "the new app registration does not show up; run the same command again." show_app id none; }

try_again() { # MESSAGE COMMAND…
  local message=$1 attempt
  shift
  for attempt in 1 2 3 4 5 6; do
    if [ "$attempt" = 6 ]; then
      "$@" >&2 || fail "$message"
    elif "$@" >/dev/null 2>&1; then
      return
    else
      sleep "${REGISTER_APP_PAUSE:-5}"
    fi
  done
}

with_entry() { # JSON list or nothing, further entries or nothing
  local list
  list=$(printf '%s' "$1" | tr -d '\n\r')
  [ "$list" != null ] || list=""
  list=${list#"["} list=${list%"]"}
  [ -n "${list// /}" ] || list=""
  printf '[%s]' "$list${list:+${2:+,}}$2"
}

permission() { printf '{"id": "%s", "type": "Scope"}' "$(permission_id "$1")"; }

scope_entry() { # id, or nothing for a new one
  cat <<JSON
{"id": "${1:-$(new_uuid)}", "value": "$scope", "type": "User", "isEnabled": true,
"adminConsentDisplayName": "Use the M365 MCP Server",
"adminConsentDescription": "Lets an MCP client use the M365 MCP Server as the signed-in person.",
"userConsentDisplayName": "Use the M365 MCP Server",
"userConsentDescription": "Lets an MCP client use the M365 MCP Server as you."}
JSON
}

new_uuid() {
  if command -v uuidgen >/dev/null; then
    uuidgen | tr '[:upper:]' '[:lower:]'
  else
    cat /proc/sys/kernel/random/uuid
  fi
}

ensure_service_principal() {
  local found
  found=$(az ad sp list --filter "appId eq '$client_id'" --query "[].id" -o tsv --only-show-errors)
  if [ -z "$found" ]; then
    az ad sp create --id "$client_id" --output none --only-show-errors
  fi
}

grant_consent() {
  local command="az ad app permission admin-consent --id $client_id"
  if [ "$consent" = no ]; then
    say "An administrator has to grant consent: $command"
    return
  fi
  say "Granting admin consent for ${wanted% }"
  try_again "admin consent was not granted; an administrator can do it with: $command" consented
}

# Right after a change the directory may still grant what was asked for before, so look at what was granted.
consented() {
  local granted name
  az ad app permission admin-consent --id "$client_id" --only-show-errors || return
  granted=$(az ad app permission list-grants --id "$client_id" --query "[].scope" -o tsv --only-show-errors) || return
  granted=" $(printf '%s' "$granted" | tr '\n\r\t' '   ') "
  for name in $wanted; do
    [[ $granted == *" $name "* ]] || return
  done
}

# The name says issuer and subject, so several clusters can be trusted and none twice.
trust_cluster() {
  local credential found
  credential="m365-mcp-$(printf '%s %s' "$issuer" "$subject" | cksum | cut -d ' ' -f 1)"
  found=$(az ad app federated-credential list --id "$client_id" \
    --query "[?issuer == '$issuer' && subject == '$subject'].name | [0]" -o tsv --only-show-errors)
  if [ -n "$found" ]; then
    say "The cluster is trusted already"
    return
  fi
  say "Trusting $subject of $issuer"
  az ad app federated-credential create --id "$client_id" --output none --only-show-errors --parameters \
    '{"name":"'"$credential"'","issuer":"'"$issuer"'","subject":"'"$subject"'","audiences":["api://AzureADTokenExchange"]}'
}

create_secret() {
  say "Making a client secret"
  local secret
  secret=$(az ad app credential reset --id "$client_id" --append --display-name m365-mcp-server --years "$secret_years" \
    --query password -o tsv --only-show-errors)
  [ -n "$secret" ] || fail "az made no client secret."
  if [ "$show_secret" = yes ]; then
    print_settings "AZURE_CLIENT_SECRET=$secret"
  else
    (umask 077 && print_settings "AZURE_CLIENT_SECRET=$secret" >"$env_file")
    print_settings "# AZURE_CLIENT_SECRET is in $env_file"
  fi
}

print_settings() { # [line about the client secret]
  printf '%s\n' "AZURE_CLIENT_ID=$client_id" ${1:+"$1"} "AZURE_TENANT_ID=$tenant_id" \
    "MCP_SERVER_BASE_URL=$base_url" "MCP_SCOPE_NAME=$scope" ${toolsets:+"M365_TOOLSETS=$toolsets"}
  [ "$send_level" = send ] || printf 'M365_SEND_LEVEL=%s\n' "$send_level"
  [ "$send_mode" = direct ] || printf 'M365_SEND_MODE=%s\n' "$send_mode"
  [ "$send_from" = no ] || printf 'M365_SEND_FROM=true\n'
}

main "$@"
