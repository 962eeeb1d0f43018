// The TypeScript SDK as a client: registers, prints where the person signs in, reads the code, and redeems it. It prints
// a line, waits for one, refreshes, lists the tools, and asks for a ping whose id a proxy has spoilt.
// Arguments: a folder with node_modules/@modelcontextprotocol/sdk, the server's address, the client's metadata (JSON),
// and the address of its metadata document if it has one; then it does not register.
import { createRequire } from "node:module";
import { createInterface } from "node:readline/promises";

const [folder, server, metadata, document] = process.argv.slice(2);
const require = createRequire(`${folder}/`);
const { auth } = require("@modelcontextprotocol/sdk/client/auth.js");
const { Client } = require("@modelcontextprotocol/sdk/client/index.js");
const { StreamableHTTPClientTransport } = require("@modelcontextprotocol/sdk/client/streamableHttp.js");
const { OpenIdProviderDiscoveryMetadataSchema } = require("@modelcontextprotocol/sdk/shared/auth.js");

const saved = {};
const clientMetadata = JSON.parse(metadata);
const provider = {
  redirectUrl: clientMetadata.redirect_uris[0],
  clientMetadata,
  clientMetadataUrl: document || undefined,
  clientInformation: () => saved.client,
  saveClientInformation: (client) => { saved.client = client; },
  tokens: () => saved.tokens,
  saveTokens: (tokens) => { saved.tokens = tokens; },
  redirectToAuthorization: (url) => { console.log(url.href); },
  saveCodeVerifier: (verifier) => { saved.verifier = verifier; },
  codeVerifier: () => saved.verifier,
};
const asked = { serverUrl: `${server}/mcp`, scope: clientMetadata.scope };
const steps = [await auth(provider, asked)];
const input = createInterface({ input: process.stdin });
const lines = input[Symbol.asyncIterator]();
const { code, iss } = JSON.parse((await lines.next()).value);
steps.push(await auth(provider, { ...asked, authorizationCode: code, iss }));
const first = saved.tokens.refresh_token;
console.log("AUTHORIZED");
await lines.next();
steps.push(await auth(provider, asked));
const client = new Client({ name: "typescript", version: "1" });
const spoil = (url, options) => {
  const message = options.body ? JSON.parse(options.body) : {};
  return fetch(url, message.method === "ping" ? { ...options, body: JSON.stringify({ ...message, id: null }) } : options);
};
const transport = new StreamableHTTPClientTransport(new URL(asked.serverUrl), { authProvider: provider, fetch: spoil });
await client.connect(transport);
const { tools } = await client.listTools();
const ping = await client.ping().then(() => "answered", (error) => error.message);
const openid = await (await fetch(`${server}/.well-known/openid-configuration`)).json();
console.log(JSON.stringify({
  steps,
  hasSecret: Boolean(saved.client.client_secret),
  scope: saved.tokens.scope,
  refreshed: saved.tokens.refresh_token !== first,
  ping,
  clientId: saved.client.client_id,
  tools: tools.map((tool) => tool.name),
  openid: OpenIdProviderDiscoveryMetadataSchema.safeParse(openid).success,
}));
process.exit(0);
