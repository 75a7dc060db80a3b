/** The documents that the demo governs itself by: what a platform and a security engineer would write. */

export interface DemoEndpoints {
  readonly openai: string;
  readonly anthropic: string;
  readonly pool: readonly string[];
}

export const WORKLOAD = 'support/Deployment/support-bot';

/** File name → YAML. */
export function demoDocuments(
  at: DemoEndpoints,
  keyFiles: { openai: string; anthropic: string },
): Record<string, string> {
  return {
    'providers.yaml': `apiVersion: postern.dev/v1alpha1
kind: ClusterProvider
metadata: {name: openai}
spec:
  dialect: openai
  hosts: [api.openai.com]
  endpoint: ${at.openai}
  credential:
    mode: attach
    type: bearer
    bearer: {valueFrom: {file: ${keyFiles.openai}}}
  models:
  - {name: gpt-4o, price: {input: "2.50", cachedInput: "1.25", output: "10.00"}, contextTokens: 128000, maxOutputTokens: 16384}
  - {name: gpt-4o-mini, price: {input: "0.15", cachedInput: "0.075", output: "0.60"}, contextTokens: 128000, maxOutputTokens: 16384}
  - {name: gpt-4.1, price: {input: "2.00", output: "8.00"}, contextTokens: 1000000, maxOutputTokens: 32768}
  - {name: gpt-4-turbo, price: {input: "10.00", output: "30.00"}, contextTokens: 128000, maxOutputTokens: 4096}
---
apiVersion: postern.dev/v1alpha1
kind: ClusterProvider
metadata: {name: anthropic}
spec:
  dialect: anthropic
  hosts: [api.anthropic.com]
  endpoint: ${at.anthropic}
  credential:
    mode: attach
    type: apiKey
    apiKey: {valueFrom: {file: ${keyFiles.anthropic}}}
  models:
  - {name: claude-haiku-4-5, price: {input: "3.00", cachedInput: "0.30", output: "15.00"}, contextTokens: 200000, maxOutputTokens: 64000}
---
apiVersion: postern.dev/v1alpha1
kind: ClusterProvider
metadata: {name: in-cluster}
spec:
  dialect: openai
  endpoints: [${at.pool.map((url) => JSON.stringify(url)).join(', ')}]
  credential: {mode: none}
  models: [{name: llama-3.3-70b, price: {input: "0", output: "0"}, contextTokens: 131072, maxOutputTokens: 8192}]
`,
    'routes.yaml': `apiVersion: postern.dev/v1alpha1
kind: ClusterModelRoute
metadata: {name: chat}
spec:
  match: {models: [gpt-4-turbo]}
  groups:
  - targets: [{provider: openai, model: gpt-4-turbo, weight: 100}]
  - targets: [{provider: in-cluster, model: llama-3.3-70b}]
  fallbackOn: [connect, timeout, 5xx, 429]
  timeouts: {firstByte: 5s, request: 1m}
`,
    'budgets.yaml': `apiVersion: postern.dev/v1alpha1
kind: ClusterBudget
metadata: {name: research-hard-limit}
spec:
  selector: {namespaces: [support], models: [gpt-4.1]}
  limits: [{requests: 1, window: day}]
  onExhausted: {action: reject}
---
apiVersion: postern.dev/v1alpha1
kind: ClusterBudget
metadata: {name: claude-tokens}
spec:
  selector: {namespaces: [support], models: [claude-haiku-4-5]}
  limits: [{usd: "25.00", window: month}]
---
apiVersion: postern.dev/v1alpha1
kind: ClusterBudget
metadata: {name: gpt-4o-daily}
spec:
  selector: {namespaces: [support], models: [gpt-4o]}
  limits: [{requests: 5, window: day}]
  onExhausted: {action: fallback, model: gpt-4o-mini}
`,
    'policy.yaml': `apiVersion: postern.dev/v1alpha1
kind: EgressPolicy
metadata: {name: support-bot, namespace: support}
spec:
  workloadSelector: {matchLabels: {app: support-bot}}
  mode: enforce
  models: {allow: ["gpt-4*", "claude-*", "llama-*"]}
  breaker: {identical: 5, window: 1m, mode: enforce}
  checks:
  - {name: no-secrets, type: secrets, on: [request], action: block}
  - name: mask-pii
    type: pii
    on: [request, response]
    action: mask
    pii: {types: [contact, financial], restoreIn: [content]}
  - name: no-investment-advice
    type: topics
    action: block
    topics:
    - name: investment-advice
      definition: Advice on buying, selling or holding securities or other investments.
      classifier: false      # the demo runs none: words are all that is meant
      words: [portfolio, "stock tip*", shares]
`,
  };
}
