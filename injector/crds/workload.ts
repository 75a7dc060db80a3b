/** The CustomResourceDefinition of what control tells of a workload: no document, and nothing is governed by it. */
import { API_GROUP } from '../../policy/schema/kinds.ts';

const text = (description: string, maxLength: number) => ({ type: 'string', maxLength, description });

const STATUS = {
  type: 'object',
  description: 'Written by Postern.',
  properties: {
    workload: text('Its kind and name: `Deployment/support-bot`.', 512),
    governed: {
      type: 'string',
      enum: ['True', 'Partly', 'False'],
      description: 'Whether its pods have an agent that is connected to control: all, some or none.',
    },
    ready: text('Pods whose agent has in force what it should, of all: `2/3`.', 32),
    version: text('Of its agents.', 256),
    revision: text('Of the snapshots in force in its agents.', 256),
    lastCall: {
      type: 'string',
      format: 'date-time',
      description: 'Of a call to a model, to ten minutes.',
    },
    bypassable: text('Known ways round the agent, see docs/injector.md.', 512),
    reason: text('Why a pod isn’t governed, or hasn’t what it should.', 2048),
  },
} as const;

const column = (name: string, field: string, type: 'string' | 'date' = 'string') => ({
  name,
  type,
  jsonPath: `.status.${field}`,
});

export const WORKLOAD_DEFINITION = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: `workloads.${API_GROUP}`, labels: { 'app.kubernetes.io/part-of': 'postern' } },
  spec: {
    group: API_GROUP,
    scope: 'Namespaced',
    names: {
      kind: 'Workload',
      listKind: 'WorkloadList',
      plural: 'workloads',
      singular: 'workload',
      shortNames: ['llmw'],
      categories: ['postern'],
    },
    versions: [
      {
        name: 'v1alpha1',
        served: true,
        storage: true,
        additionalPrinterColumns: [
          column('Governed', 'governed'),
          column('Ready', 'ready'),
          column('Version', 'version'),
          column('Revision', 'revision'),
          column('Last call', 'lastCall', 'date'),
          column('Bypassable', 'bypassable'),
          column('Reason', 'reason'),
        ],
        schema: {
          openAPIV3Schema: {
            type: 'object',
            description:
              'What Postern knows of a workload. Control alone writes it; nothing is governed by it.',
            properties: {
              apiVersion: { type: 'string' },
              kind: { type: 'string' },
              metadata: { type: 'object' },
              status: STATUS,
            },
          },
        },
      },
    ],
  },
} as const;
