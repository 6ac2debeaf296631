// SPDX-License-Identifier: GPL-3.0-or-later
// An OpenID Connect provider for tests: somebody else's (npm: oidc-provider), with people whose password is anything.
//
//   node provider.mjs LIBRARY PORT BASE WISHES     BASE is where users come back to; WISHES is JSON.
import { pathToFileURL } from 'node:url';

const [library, port, base, text] = process.argv.slice(2);
const wishes = JSON.parse(text);
const { default: Provider } = await import(pathToFileURL(library));

const people = {
  anna: { email: 'anna@example.com', email_verified: true },
  unverified: { email: 'anna@example.com', email_verified: false },
  stranger: { email: 'anna@elsewhere.example', email_verified: true },
  nameless: {},
};

const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [{
    client_id: 'fairtrack',
    client_secret: 'a secret: + of its own',
    redirect_uris: [`${base}/sign-in/oidc`],
    post_logout_redirect_uris: [`${base}/sign-in`],
  }],
  claims: { openid: ['sub'], email: ['email', 'email_verified'] },
  conformIdTokenClaims: !wishes.inToken,
  cookies: { keys: ['a key'] },
  features: { devInteractions: { enabled: true } },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...people[id] }) }),
  pkce: { required: () => true },
  ttl: { IdToken: () => wishes.lifetime ?? 3600 },
});
provider.listen(Number(port), '127.0.0.1', () => console.log('listening'));
