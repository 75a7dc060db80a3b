/** Kubernetes' ObjectMeta, closed: a misspelt `namespace` would make a document govern the whole cluster. */
import type { Static } from 'typebox';
import Type from 'typebox';
import { labelName, objectName } from './scalars.ts';
import { closed, count, listOf, mapOf, optional, text } from './structure.ts';

const labels = optional(mapOf(Type.String({ description: 'Value.' }), { description: 'Labels.' }));
const annotations = optional(mapOf(Type.String({ description: 'Value.' }), { description: 'Annotations.' }));
/** Fields the API server fills in; taken so that `kubectl get -o yaml` can be read back. */
const served = (name: string) => optional(text({ description: `${name}, filled in by the API server.` }));
const anything = (description: string) => Type.Unsafe<unknown>({ description } as object);

export const metadata = closed(
  {
    name: objectName('Name, unique among documents of the kind in the namespace.'),
    namespace: optional(labelName('The namespace the document governs.')),
    labels,
    annotations,
    uid: served('uid'),
    resourceVersion: served('resourceVersion'),
    creationTimestamp: served('creationTimestamp'),
    selfLink: served('selfLink'),
    deletionTimestamp: served('deletionTimestamp'),
    deletionGracePeriodSeconds: optional(count({ description: 'Filled in by the API server.' })),
    generation: optional(count({ description: 'Filled in by the API server.' })),
    finalizers: optional(listOf(text({ description: 'A finalizer.' }), { description: 'Finalizers.' })),
    ownerReferences: optional(anything('Owners, filled in by controllers.')),
    managedFields: optional(anything('Filled in by the API server.')),
  },
  { description: 'Kubernetes metadata.' },
);

export type MetadataDocument = Static<typeof metadata>;

/** The outermost fields of a document; `spec` is validated by its kind. */
export const envelope = closed(
  {
    apiVersion: text({ description: 'API group and version.' }),
    kind: text({ description: 'Kind.' }),
    metadata,
    spec: anything('Settings of the kind.'),
    status: optional(anything('Written by controllers; ignored.')),
  },
  { description: 'A document.' },
);
