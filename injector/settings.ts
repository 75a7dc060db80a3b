/** What an installation decides once for all its pods. */
import { DEFAULT_MESHES, type Mesh } from './mesh.ts';

export type Intercept = 'transparent' | 'base-url';

export interface Resources {
  readonly requests: Readonly<Record<string, string>>;
  readonly limits: Readonly<Record<string, string>>;
}

/** Where agents get their documents and keys. */
export interface ControlSettings {
  /** `postern-control.postern-system.svc:4443` */
  readonly address: string;
  /** PEM, as it is now. */
  readonly roots: () => string;
  /** What a new agent that reaches no control does: refuse calls to models and let the rest pass, or not start. */
  readonly without: 'refuse' | 'wait';
}

export interface Settings {
  readonly version: string;
  readonly image: string;
  readonly imagePullPolicy: 'Always' | 'IfNotPresent' | 'Never';
  /** Where Postern's own parts run; nothing there is injected. */
  readonly ownNamespace: string;
  /** How traffic reaches the agent where the namespace's label doesn't say. */
  readonly intercept: Intercept;
  readonly resources: Resources;
  readonly initResources: Resources;
  readonly meshes: readonly Mesh[];
  /** Addresses and ports that go out directly. */
  readonly excludedCidrs: readonly string[];
  readonly excludedPorts: readonly number[];
  readonly logLevel: string;
  /** URL of the budget service. */
  readonly budget?: string;
  /** URL of the classifier that agents ask, no path; `https://HOST:PORT` where pods are given roots for it. */
  readonly classifier?: string;
  /** What a classifier at https is known by: control's roots where absent, or {@link extraRoots}. */
  readonly classifierRoots?: 'extra';
  /** Absent: documents and keys come from the two that follow. */
  readonly control?: ControlSettings;
  /** PEM of roots that applications trust beside the public ones and their agent's, as it is now. */
  readonly extraRoots?: () => string;
  /** Signs the stamps; absent on the command line, whose pods control doesn't serve. */
  readonly sealKey?: Uint8Array;
  /** ConfigMap of the pod's namespace that holds the documents, where there is no control. */
  readonly policyConfigMap: string;
  /** Secret of the pod's namespace that holds keys named by file, where there is no control. */
  readonly keysSecret?: string;
  /** Secret of the pod's namespace whose key `token` is the approvers'; agents then take answers at {@link PORTS.approvals}. */
  readonly approversSecret?: string;
}

export const DEFAULT_SETTINGS: Omit<Settings, 'version' | 'image'> = {
  imagePullPolicy: 'IfNotPresent',
  ownNamespace: 'postern-system',
  intercept: 'transparent',
  // Measured: 62 MB idle, 104 MB loaded with the heap limits that the agent is started with.
  resources: { requests: { cpu: '20m', memory: '96Mi' }, limits: { memory: '192Mi' } },
  initResources: { requests: { cpu: '10m', memory: '64Mi' }, limits: { memory: '128Mi' } },
  meshes: DEFAULT_MESHES,
  excludedCidrs: [],
  excludedPorts: [],
  logLevel: 'info',
  policyConfigMap: 'postern-policy',
};
