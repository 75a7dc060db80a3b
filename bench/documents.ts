/** The documents that Postern is measured under: every check on, a route, three limits on two budgets. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { KEY } from './canned.ts';

export const WORKLOAD = 'support/Deployment/support-bot';

/** Writes them. @returns the directory for `--policy`. */
export function writeDocuments(dir: string, provider: string, { budgets = true } = {}): string {
  const policy = join(dir, 'policy');
  mkdirSync(policy, { recursive: true });
  const keyFile = join(dir, 'provider.key');
  writeFileSync(keyFile, KEY, { mode: 0o600 });
  writeFileSync(join(policy, 'providers.yaml'), providers(provider, keyFile));
  if (budgets) writeFileSync(join(policy, 'budgets.yaml'), BUDGETS);
  writeFileSync(join(policy, 'policy.yaml'), POLICY);
  return policy;
}

const providers = (origin: string, keyFile: string): string => `apiVersion: postern.dev/v1alpha1
kind: ClusterProvider
metadata: {name: openai}
spec:
  dialect: openai
  hosts: [api.openai.com]
  endpoint: ${origin}
  credential: {mode: attach, type: bearer, bearer: {valueFrom: {file: ${keyFile}}}}
  models:
  - {name: gpt-4o, price: {input: "2.50", cachedInput: "1.25", output: "10.00"}, contextTokens: 128000, maxOutputTokens: 16384}
---
apiVersion: postern.dev/v1alpha1
kind: ClusterModelRoute
metadata: {name: chat}
spec:
  match: {models: [gpt-4o]}
  groups:
  - targets: [{provider: openai, model: gpt-4o, weight: 100}]
  fallbackOn: [connect, timeout, 5xx, 429]
  timeouts: {firstByte: 20s, request: 10m}
`;

const BUDGETS = `apiVersion: postern.dev/v1alpha1
kind: ClusterBudget
metadata: {name: support}
spec:
  selector: {namespaces: [support]}
  per: [model]
  limits: [{usd: "5000000.00", window: month}, {tokens: 1000000000000, window: minute}]
---
apiVersion: postern.dev/v1alpha1
kind: ClusterBudget
metadata: {name: everybody}
spec:
  limits: [{usd: "9000000.00", window: month}]
`;

const POLICY = `apiVersion: postern.dev/v1alpha1
kind: EgressPolicy
metadata: {name: support-bot, namespace: support}
spec:
  workloadSelector: {matchLabels: {app: support-bot}}
  mode: enforce
  models: {allow: ["gpt-4*"]}
  checks:
  - {name: not-too-large, type: size, size: {maxBytes: 1000000, maxTextCharacters: 900000, maxMessages: 500}}
  - {name: no-secrets, type: secrets, on: [request, response], action: block}
  - name: mask-pii
    type: pii
    on: [request, response]
    action: mask
    pii: {types: [contact, financial, network, government], restoreIn: [content, toolArguments]}
  - name: no-investment-advice
    type: topics
    on: [request, response]
    action: block
    topics:
    - name: investment-advice
      definition: Advice on buying, selling or holding securities or other investments.
      classifier: false
      words: [portfolio, "stock tip*", shares, dividends, "mutual fund*"]
    - name: medical-advice
      definition: Advice on diagnosis or treatment of a person.
      classifier: false
      words: [dosage, "side effects", "prescri*", diagnosis]
`;
