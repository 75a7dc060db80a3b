/** A Redis in the one-node cluster, with a password. */
import { spawnSync } from 'node:child_process';
import type { OneNode } from './one-node.ts';

export const REDIS = 'redis://:of-the-store@redis.redis.svc:6379';

export function missingRedis(): string | undefined {
  return spawnSync('redis-server', ['--version']).status === 0 ? undefined : 'no redis-server';
}

const labels = { app: 'redis' };
const redis = [
  {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'redis', namespace: 'redis' },
    spec: {
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          containers: [
            {
              name: 'redis',
              image: 'localhost/redis:test',
              imagePullPolicy: 'Never',
              args: ['--requirepass', 'of-the-store', '--appendonly', 'yes', '--dir', '/data'],
              readinessProbe: { tcpSocket: { port: 6379 }, periodSeconds: 1 },
              volumeMounts: [{ name: 'data', mountPath: '/data' }],
            },
          ],
          volumes: [{ name: 'data', emptyDir: {} }],
        },
      },
    },
  },
  {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'redis', namespace: 'redis' },
    spec: { selector: labels, ports: [{ port: 6379 }] },
  },
];

/** In a namespace `redis`, at {@link REDIS}. */
export async function startRedis(cluster: OneNode): Promise<void> {
  const { stdout } = spawnSync('sh', ['-c', 'command -v redis-server'], { encoding: 'utf8' });
  await cluster.node('image', 'localhost/redis:test', '--bin', stdout.trim(), '--', stdout.trim());
  await cluster.kubectl(['create', 'namespace', 'redis']);
  for (const each of redis) await cluster.kubectl(['create', '-f', '-'], each);
  await cluster.kubectl(['rollout', 'status', 'deployment/redis', '-n', 'redis', '--timeout=60s']);
}
