#!/usr/bin/python3
"""The harness is tested itself: a test that leaves something behind, or whose
nginx complains, must fail, and clean up."""

import os
import re
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)),
                                'lib'))
from beacon_test import *                       # noqa: E402

BEGIN = '''
import os, signal, subprocess, sys, time
sys.path.insert(0, %r)
from beacon_test import *
env = Env(helper='external', conf="""
%%%%USER%%%% %%%%SANITIZER_ENV%%%%
daemon %%%%DAEMON%%%%; worker_processes 2; pid %%%%ROOT%%%%/nginx.pid;
error_log %%%%ROOT%%%%/error.log info;
events { }
http { %%%%TEMP_PATHS%%%% access_log off;
server { listen 127.0.0.1:%%%%PORT%%%%;
location / { return 200 here; } } }
""")
env.start()
is_(env.get('/').body, b'here', 'nginx answers')
print('DIRECTORIES', env.root, env.shm, flush=True)
''' % os.path.join(TOP, 't', 'lib')


def run(script, **options):
    """(exit code, output) of a test; its directories must be gone."""
    done = subprocess.run(
        [sys.executable, '-'], input=BEGIN + script, text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    paths = re.search(r'^DIRECTORIES (\S+) (\S+)', done.stdout, re.M)
    wait_until(lambda: not any(map(os.path.exists, paths.groups())))
    there = [path for path in paths.groups() if os.path.exists(path)]
    is_(there, [], 'its directories are gone')
    for pid in proc.pids():
        if paths.group(1) in proc.cmdline(pid):
            ok(False, 'its nginx is gone')
    return done.returncode, done.stdout


code, output = run('done_testing()')
ok(code == 0 and 'not ok' not in output, 'a test without faults passes') \
    or diag(output)

code, output = run('''
ok(env.reload(), 'reload')
old, new = env.upgrade()
ok(new and new != old, 'upgrade')
env.kill(signal.SIGQUIT, old)
ok(wait_until(lambda: not proc.alive(old)), 'the old master leaves')
is_(env.get('/').body, b'here', 'the new one answers')
done_testing()
''')
ok(code == 0, 'reload and upgrade are waited for') or diag(output)

code, output = run('''
from beacon_fault import mount_tmpfs
mount_tmpfs(env, env.shm, '1m')
mount_tmpfs(env, env.root + '/below', '1m')
done_testing()
''')
ok(code == 0, 'what a test mounts on its directories, or below, goes too') \
    or diag(output)

code, output = run('''
subprocess.Popen(['setsid', 'sleep', '60'], start_new_session=True)
done_testing()
''')
ok(code == 1 and 'sleep 60' in output, 'a process left behind fails a test')

code, output = run('''
env.kill(signal.SIGKILL, env.worker_pids()[0])
wait_until(lambda: env.error_lines('exited on signal 9'))
done_testing()
''')
ok(code == 1 and re.search(r'not ok \d+ - error.log holds', output),
   'an alert in the error log fails a test')

code, output = run('''
env.kill(signal.SIGKILL, env.worker_pids()[0])
wait_until(lambda: env.error_lines('exited on signal 9'))
env.allow('exited on signal 9')
done_testing()
''')
is_(code, 0, 'but not one that the test allows')

code, output = run('''
with open(env.error_log, 'a') as file:
    file.write('==1==ERROR: AddressSanitizer: heap-use-after-free')
done_testing()
''')
is_(code, 1, 'a sanitizer report fails a test')

code, output = run('raise ValueError')
ok(code == 1 and 'ValueError' in output
   and 'not ok 2 - the test runs to its end' in output,
   'an exception fails a test')

code, output = run('ok(False, "x")\ndone_testing()')
is_(code, 1, 'a failed assertion fails a test')

code, output = run('time.sleep(60)',
                   env={**os.environ, 'BEACON_TEST_TIMEOUT': '2'})
ok(code == 1 and 'took too long' in output, 'a test may not hang')

code, output = run('os.kill(os.getpid(), signal.SIGTERM)\ntime.sleep(60)')
is_(code, 1, 'a signal fails a test')

code, output = run('os.kill(os.getpid(), signal.SIGKILL)')
is_(code, -9, 'a test that is killed leaves nothing behind either')

code, output = run('''
master = env.master()
killed = env.kill_everything()
ok(master in killed and len(killed) == 3, 'all are killed')
ok(not any(proc.alive(pid) for pid in killed), 'all are gone')
env.start()
is_(env.get('/').body, b'here', 'it starts again')
done_testing()
''')
ok(code == 0, 'everything can be killed at once') or diag(output)

done_testing()
