// The TypeScript SDK as a client: registers, prints where the person signs in, reads the code, redeems and refreshes.
// Arguments: a folder with node_modules/@modelcontextprotocol/sdk, the server's address, the client's metadata (JSON).
import { createRequire } from "node:module";
import { createInterface } from "node:readline/promises";

const [folder, server, metadata] = process.argv.slice(2);
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
const { code, iss } = JSON.parse((await input[Symbol.asyncIterator]().next()).value);
steps.push(await auth(provider, { ...asked, authorizationCode: code, iss }));
const first = saved.tokens.refresh_token;
steps.push(await auth(provider, asked));
const client = new Client({ name: "typescript", version: "1" });
await client.connect(new StreamableHTTPClientTransport(new URL(asked.serverUrl), { authProvider: provider }));
const { tools } = await client.listTools();
const openid = await (await fetch(`${server}/.well-known/openid-configuration`)).json();
console.log(JSON.stringify({
  steps,
  hasSecret: Boolean(saved.client.client_secret),
  scope: saved.tokens.scope,
  refreshed: saved.tokens.refresh_token !== first,
  tools: tools.map((tool) => tool.name),
  openid: OpenIdProviderDiscoveryMetadataSchema.safeParse(openid).success,
}));
process.exit(0);
