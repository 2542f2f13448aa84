/*
 * The tests' eye on a Kafka cluster, by Kafka's own Java client: nothing of
 * librdkafka is in it.  One command a line on standard input, as JSON; one
 * answer a line on standard output, {"ok":…} or {"error":"…"}.
 *
 *     java -cp 'eye:libs/*' Eye BOOTSTRAP DIRECTORY
 */

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedOutputStream;
import java.io.BufferedReader;
import java.io.FileOutputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitionReassignment;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.ScramCredentialInfo;
import org.apache.kafka.clients.admin.ScramMechanism;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.admin.UserScramCredentialUpsertion;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourceType;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public final class Eye {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final int SECONDS = 20;

    private final String bootstrap;
    private Admin admin;

    private Eye(String bootstrap) {
        this.bootstrap = bootstrap;
    }

    public static void main(String[] argv) throws Exception {
        PrintStream out = new PrintStream(new java.io.FileOutputStream(
            java.io.FileDescriptor.out), true, StandardCharsets.UTF_8);
        System.setOut(System.err);
        Eye eye = new Eye(argv[0]);
        BufferedReader in = new BufferedReader(new InputStreamReader(
            System.in, StandardCharsets.UTF_8));
        String line;

        while ((line = in.readLine()) != null) {
            ObjectNode answer = JSON.createObjectNode();

            try {
                eye.obey(JSON.readTree(line), answer);
            } catch (ExecutionException error) {
                answer.put("error", String.valueOf(error.getCause()));
            } catch (Exception error) {
                answer.put("error", String.valueOf(error));
            }

            out.println(JSON.writeValueAsString(answer));
        }

        System.exit(0);
    }

    private void obey(JsonNode command, ObjectNode answer) throws Exception {
        switch (command.get("op").asText()) {
            case "topics" -> answer.set("ok", JSON.valueToTree(topics()));
            case "create" -> create(command);
            case "delete" -> admin().deleteTopics(
                List.of(text(command, "topic"))).all().get(
                    SECONDS, TimeUnit.SECONDS);
            case "config" -> config(command);
            case "deny" -> acl(command, false);
            case "allow" -> acl(command, true);
            case "scram" -> scram(command);
            case "lead" -> lead(command);
            case "leaders" -> answer.set("ok", JSON.valueToTree(
                leaders(text(command, "topic"))));
            case "isr" -> answer.put("ok", isr());
            case "count" -> answer.set("ok", JSON.valueToTree(counts()));
            case "read" -> answer.set("ok", JSON.valueToTree(read(command)));
            case "produce" -> answer.set("ok", JSON.valueToTree(
                produce(command)));
            default -> throw new IllegalArgumentException("no such op");
        }

        if (!answer.has("ok")) {
            answer.put("ok", true);
        }
    }

    private static String text(JsonNode command, String name) {
        return command.get(name).asText();
    }

    private Admin admin() {
        if (admin == null) {
            Properties p = properties();
            p.put("default.api.timeout.ms", "20000");
            p.put("request.timeout.ms", "5000");
            admin = Admin.create(p);
        }
        return admin;
    }

    private Properties properties() {
        Properties p = new Properties();
        p.put("bootstrap.servers", bootstrap);
        p.put("reconnect.backoff.max.ms", "200");
        p.put("enable.metrics.push", "false");
        return p;
    }

    private Set<String> topics() throws Exception {
        return new TreeSet<>(admin().listTopics().names().get(
            SECONDS, TimeUnit.SECONDS));
    }

    private void create(JsonNode command) throws Exception {
        Map<String, String> configs = new HashMap<>();
        for (Map.Entry<String, JsonNode> e
                : command.path("configs").properties()) {
            configs.put(e.getKey(), e.getValue().asText());
        }
        NewTopic topic = new NewTopic(text(command, "topic"),
            Optional.of(command.path("partitions").asInt(1)),
            Optional.of((short) command.path("replication").asInt(1)));
        admin().createTopics(List.of(topic.configs(configs))).all().get(
            SECONDS, TimeUnit.SECONDS);
    }

    private void config(JsonNode command) throws Exception {
        ConfigResource topic = new ConfigResource(
            ConfigResource.Type.TOPIC, text(command, "topic"));
        AlterConfigOp op = new AlterConfigOp(
            new ConfigEntry(text(command, "name"), text(command, "value")),
            AlterConfigOp.OpType.SET);
        admin().incrementalAlterConfigs(Map.of(topic, List.of(op))).all().get(
            SECONDS, TimeUnit.SECONDS);
    }

    /* Denies WRITE on a topic to a user, or takes that back. */
    private void acl(JsonNode command, boolean back) throws Exception {
        AclBinding binding = new AclBinding(
            new ResourcePattern(ResourceType.TOPIC, text(command, "topic"),
                                PatternType.LITERAL),
            new AccessControlEntry("User:" + text(command, "user"), "*",
                                   AclOperation.WRITE,
                                   AclPermissionType.DENY));
        if (back) {
            AclBindingFilter filter = binding.toFilter();
            admin().deleteAcls(List.of(filter)).all().get(
                SECONDS, TimeUnit.SECONDS);
        } else {
            admin().createAcls(List.of(binding)).all().get(
                SECONDS, TimeUnit.SECONDS);
        }
    }

    private void scram(JsonNode command) throws Exception {
        ScramCredentialInfo info = new ScramCredentialInfo(
            ScramMechanism.SCRAM_SHA_256, 4096);
        admin().alterUserScramCredentials(List.of(
            new UserScramCredentialUpsertion(text(command, "user"), info,
                                             text(command, "password"))))
            .all().get(SECONDS, TimeUnit.SECONDS);
    }

    private TopicDescription describe(String topic) throws Exception {
        return admin().describeTopics(List.of(topic)).allTopicNames().get(
            SECONDS, TimeUnit.SECONDS).get(topic);
    }

    private List<Integer> leaders(String topic) throws Exception {
        List<Integer> found = new ArrayList<>();
        for (TopicPartitionInfo info : describe(topic).partitions()) {
            found.add(info.leader() == null ? -1 : info.leader().id());
        }
        return found;
    }

    /* The least number of replicas in sync, over all partitions. */
    private int isr() throws Exception {
        int least = Integer.MAX_VALUE;
        for (String topic : topics()) {
            for (TopicPartitionInfo info : describe(topic).partitions()) {
                least = Math.min(least, info.isr().size());
            }
        }
        return least;
    }

    /* Has the next replica of each partition lead it. */
    private void lead(JsonNode command) throws Exception {
        String topic = text(command, "topic");
        Map<TopicPartition, Optional<NewPartitionReassignment>> moves =
            new HashMap<>();

        for (TopicPartitionInfo info : describe(topic).partitions()) {
            List<Integer> order = new ArrayList<>();
            for (Node node : info.replicas()) {
                order.add(node.id());
            }
            int at = order.indexOf(info.leader().id());
            java.util.Collections.rotate(order, -(at + 1));
            moves.put(new TopicPartition(topic, info.partition()),
                      Optional.of(new NewPartitionReassignment(order)));
        }

        admin().alterPartitionReassignments(moves).all().get(
            SECONDS, TimeUnit.SECONDS);
        admin().electLeaders(ElectionType.PREFERRED, moves.keySet()).all()
            .get(SECONDS, TimeUnit.SECONDS);
    }

    private List<TopicPartition> partitions(Collection<String> topics)
            throws Exception {
        List<TopicPartition> found = new ArrayList<>();
        for (String topic : topics) {
            for (TopicPartitionInfo info : describe(topic).partitions()) {
                found.add(new TopicPartition(topic, info.partition()));
            }
        }
        return found;
    }

    /* Records of each topic, by its partitions' ends. */
    private Map<String, Long> counts() throws Exception {
        Map<String, Long> found = new TreeMap<>();
        Map<TopicPartition, OffsetSpec> latest = new HashMap<>();
        for (TopicPartition partition : partitions(topics())) {
            latest.put(partition, OffsetSpec.latest());
            found.put(partition.topic(), 0L);
        }
        admin().listOffsets(latest).all().get(SECONDS, TimeUnit.SECONDS)
            .forEach((partition, result) -> found.merge(
                partition.topic(), result.offset(), Long::sum));
        return found;
    }

    /*
     * All records of all topics (or "topics") to "file", one a line, in the
     * order of each partition: {"t":topic,"p":partition,"o":offset,"ts":ms,
     * "k":key,"h":{…}} TAB value.  The key and headers are UTF-8 or null;
     * "nl":1 marks a value that held a line's end.
     */
    private long read(JsonNode command) throws Exception {
        Properties p = properties();
        p.put("key.deserializer", ByteArrayDeserializer.class.getName());
        p.put("value.deserializer", ByteArrayDeserializer.class.getName());
        p.put("enable.auto.commit", "false");
        p.put("auto.offset.reset", "earliest");
        p.put("isolation.level", "read_committed");
        p.put("fetch.max.wait.ms", "50");

        Set<String> topics = new TreeSet<>();
        command.path("topics").forEach(t -> topics.add(t.asText()));
        List<TopicPartition> all = partitions(
            topics.isEmpty() ? topics() : topics);
        long number = 0;

        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(p);
             OutputStream out = new BufferedOutputStream(
                 new FileOutputStream(text(command, "file")), 1 << 20)) {
            consumer.assign(all);
            consumer.seekToBeginning(all);
            Map<TopicPartition, Long> ends = consumer.endOffsets(all);
            long last = System.nanoTime();

            while (behind(consumer, ends)) {
                if (System.nanoTime() - last > 60_000_000_000L) {
                    throw new IllegalStateException("nothing for a minute");
                }
                for (ConsumerRecord<byte[], byte[]> record
                        : consumer.poll(Duration.ofMillis(100))) {
                    last = System.nanoTime();
                    number++;
                    write(out, record);
                }
            }
        }

        return number;
    }

    private static boolean behind(KafkaConsumer<byte[], byte[]> consumer,
                                  Map<TopicPartition, Long> ends) {
        for (Map.Entry<TopicPartition, Long> end : ends.entrySet()) {
            if (end.getValue() > 0
                    && consumer.position(end.getKey()) < end.getValue()) {
                return true;
            }
        }
        return false;
    }

    private static String string(byte[] bytes) {
        return bytes == null ? null
                             : new String(bytes, StandardCharsets.UTF_8);
    }

    private static void write(OutputStream out,
                              ConsumerRecord<byte[], byte[]> record)
            throws Exception {
        ObjectNode head = JSON.createObjectNode();
        head.put("t", record.topic());
        head.put("p", record.partition());
        head.put("o", record.offset());
        head.put("ts", record.timestamp());
        head.put("k", string(record.key()));
        ObjectNode headers = head.putObject("h");
        for (Header header : record.headers()) {
            headers.put(header.key(), string(header.value()));
        }
        byte[] value = record.value();
        for (byte b : value) {
            if (b == '\n') {
                head.put("nl", 1);
                value = Base64.getEncoder().encode(value);
                break;
            }
        }
        out.write(JSON.writeValueAsBytes(head));
        out.write('\t');
        out.write(value);
        out.write('\n');
    }

    /* One record for each of "keys", by Java's own partitioner; the
       partitions they went to. */
    private List<Integer> produce(JsonNode command) throws Exception {
        Properties p = properties();
        p.put("key.serializer", ByteArraySerializer.class.getName());
        p.put("value.serializer", ByteArraySerializer.class.getName());
        List<Integer> found = new ArrayList<>();

        try (KafkaProducer<byte[], byte[]> producer =
                new KafkaProducer<>(p)) {
            List<java.util.concurrent.Future<RecordMetadata>> sent =
                new ArrayList<>();
            for (JsonNode key : command.get("keys")) {
                sent.add(producer.send(new ProducerRecord<>(
                    text(command, "topic"),
                    key.asText().getBytes(StandardCharsets.UTF_8),
                    new byte[0])));
            }
            for (java.util.concurrent.Future<RecordMetadata> one : sent) {
                found.add(one.get(SECONDS, TimeUnit.SECONDS).partition());
            }
        }

        return found;
    }
}
