#!/usr/bin/python3
"""A subscriber that never reads: spy_sleeper.py ENDPOINT TOPIC.  Says "there"
once it has subscribed."""

import sys
import time

import zmq

sub = zmq.Context().socket(zmq.SUB)
sub.setsockopt(zmq.SUBSCRIBE, sys.argv[2].encode())
sub.setsockopt(zmq.RCVHWM, 10)
sub.connect(sys.argv[1])
print('there', flush=True)
while True:
    time.sleep(60)
